"""`parking demo` as a newcomer starts it, on fewer and smaller scenes and with fewer steps to learn."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from parking.data.synthetic import generate_dataset
from tests.e2e.processes import processes_on

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

SHIFTS = ("night", "haze", "season")


@dataclass(frozen=True)
class Demo:
    """A demo that has ended."""

    folder: Path
    printed: str
    servers: set[int]
    """Processes that worked on its folder at some time."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    scenes = generate_dataset(tmp_path_factory.mktemp("scenes"), 60, seed=900, size=192)
    folder = tmp_path_factory.mktemp("demo") / "demo"
    printed = folder.with_name("printed.txt")
    words = ("demo", "--data", str(scenes), "--steps", "8", "--out", str(folder))
    servers: set[int] = set()
    with printed.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "cli.app", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "200"},
        )
        while running.poll() is None:
            servers |= processes_on(folder)
            time.sleep(1)
    assert running.returncode == 0, printed.read_text()
    return Demo(folder, printed.read_text(), servers)


def test_the_summary_gives_every_score_and_says_what_it_does_not_claim(demo: Demo) -> None:
    for promise in ("fold 1", "fold 3", "test (12)", "promoted: ", "is a demo's"):
        assert promise in demo.printed
    assert ("hot reload" in demo.printed) == (", promoted: " in demo.printed)


def test_pictures_and_geojson_lie_beside_each_other(demo: Demo) -> None:
    overlays = sorted((demo.folder / "predictions").glob("*.overlay.png"))
    assert overlays
    for overlay in overlays:
        with Image.open(overlay) as picture:
            assert picture.size == (192, 192)
        name = overlay.name.removesuffix(".overlay.png")
        assert (
            json.loads((demo.folder / "predictions" / f"{name}.pixels.json").read_text())["type"] == "FeatureCollection"
        )


def test_the_shipped_models_answers_stand_beside_the_demos_and_are_told_apart(demo: Demo) -> None:
    comparison = demo.folder / "predictions" / "comparison.png"
    with Image.open(comparison) as picture:
        assert picture.width > 2 * 192
    assert str(comparison) in demo.printed
    rows = demo.printed.split("The shipped model on the same images")[1].splitlines()
    assert re.search("annotated +trained here in minutes +shipped", rows[1])
    assert sum(bool(re.match(r"\S+ +\d+ +\d+ +\d+$", row.strip())) for row in rows) == 4


def test_shifted_images_are_flagged_and_those_as_trained_are_not(demo: Demo) -> None:
    lines = demo.printed.splitlines()
    verdicts = {
        name: line.split(f"{name}: ")[1].split(". ")[0]
        for line in lines
        for name in ("as trained", *SHIFTS)
        if line.startswith(f"  {name}: ")
    }
    assert verdicts.pop("as trained") != "drift"
    assert verdicts == dict.fromkeys(SHIFTS, "drift")


def test_the_reports_can_be_opened(demo: Demo) -> None:
    reports = list((demo.folder / "store" / "reports").rglob("*.html"))
    assert len(reports) == 1 + len(SHIFTS)
    assert all("<html" in report.read_text()[:5000].lower() for report in reports)


def test_nothing_is_left_running(demo: Demo) -> None:
    assert demo.servers, "the servers worked on another folder than was looked at"
    assert not processes_on(demo.folder)
