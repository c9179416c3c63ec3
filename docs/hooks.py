"""How these pages become a site: README is its first page, and links to source files lead to the repository."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"(?P<before>\]\()(?P<target>(?!https?://|#|mailto:)[^)\s]+)(?P<after>\))")


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs' own types, which are not installed everywhere
    """README becomes the first page."""
    from mkdocs.structure.files import File

    start = as_first_page(ROOT.joinpath("README.md").read_text(encoding="utf-8"))
    files.append(File.generated(config, "index.md", content=start))
    return files


def as_first_page(readme: str) -> str:
    """README as a page of the site: what it calls `docs/x` is `x` there, and all else lies above."""
    return _LINK.sub(lambda found: _link(found, _from_start(found["target"])), readme)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ANN401
    """Links that lead out of the pages lead to the repository."""

    def outside(found: re.Match[str]) -> str:
        target = found["target"]
        path = target.removeprefix("../").partition("#")[0]
        if target.startswith("../") or files.get_file_from_path(path) is None:
            place = target.removeprefix("../") if target.startswith("../") else f"docs/{target}"
            if (ROOT / place.partition("#")[0]).exists():
                return _link(found, f"{config.extra['repository']}/blob/main/{place}")
        return found[0]

    return _LINK.sub(outside, markdown)


def _from_start(target: str) -> str:
    return target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"


def _link(found: re.Match[str], target: str) -> str:
    return f"{found['before']}{target}{found['after']}"
