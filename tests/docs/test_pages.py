"""What the documents promise: links lead somewhere, commands can be typed, and versions agree."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml  # type: ignore[import-untyped]
from typer.main import get_command

from cli.app import app
from parking.data.vocabulary import LabelMap
from tests.test_architecture import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "helm" / "README.md"])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def commands() -> Iterator[str]:
    """Every `parking …` that a page tells to type."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line.partition("  #")[0]):
                    if found := re.match(r"(?:\$ )?(?:uv run (?:--\S+ )*|.* -- )?(parking [a-z].*)", part.strip()):
                        yield found[1].strip()
        yield from re.findall(r"`(?:uv run )?(parking (?:[a-z]+ )*--[^`\n…]+)`", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_leads_to_a_file_and_its_heading(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?://|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_takes_the_options_that_it_is_shown_with(command: str) -> None:
    words = shlex.split(command)[1:]
    found: Any = get_command(app)
    while words and hasattr(found, "commands"):
        if words[0].startswith("-"):
            break
        # A group may run a command of its own where none is named, as `parking survey SOURCE` does.
        found = found.commands[words.pop(0) if words[0] in found.commands else "run"]
    options = {name for one in found.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 700


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    assert yaml.safe_load((ROOT / "helm" / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"] == version
    released = re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_the_labelling_config_has_labels_that_are_known() -> None:
    labels = [label.get("value") for label in ElementTree.parse(ROOT / "docs" / "labeling-config.xml").iter("Label")]
    assert [LabelMap().meaning([label]) for label in labels] == ["free", "vehicle", "ignore"]


@pytest.mark.timeout(300)
@pytest.mark.e2e
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={"NO_MKDOCS_2_WARNING": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    start = (tmp_path / "site" / "index.html").read_text()
    assert "Free parking places" in start
    assert not re.findall(r'(?:src|rel="stylesheet" href)="https?://[^"]+', start), "a page fetches from another host"
    assert "load_model" in (tmp_path / "site" / "api" / "index.html").read_text()
