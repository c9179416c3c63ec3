"""`parking demo` as a newcomer starts it, on fewer and smaller scenes and with less time to learn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from parking.data.synthetic import generate_dataset

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SHIFTS = ("night", "haze", "season")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo, with what it printed in `printed.txt`."""
    scenes = generate_dataset(tmp_path_factory.mktemp("scenes"), 60, seed=900, size=192)
    folder = tmp_path_factory.mktemp("demo") / "demo"
    ended = subprocess.run(
        [sys.executable, "-m", "cli.app", "demo", "--data", str(scenes), "--minutes", "0.5", "--out", str(folder)],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder / "printed.txt").write_text(ended.stdout)
    return folder


def test_the_summary_gives_every_score_and_says_what_it_does_not_claim(out: Path) -> None:
    printed = (out / "printed.txt").read_text()
    for promise in ("fold 1", "fold 3", "test (", "hot reload" if "promoted: It is better" in printed else "version"):
        assert promise in printed
    assert "is a demo" in printed


def test_pictures_and_geojson_lie_beside_each_other(out: Path) -> None:
    overlays = sorted((out / "predictions").glob("*.png"))
    assert overlays
    for overlay in overlays:
        with Image.open(overlay) as picture:
            assert picture.size == (192, 192)
        name = overlay.name.removesuffix(".overlay.png")
        assert json.loads((out / "predictions" / f"{name}.geojson").read_text())["type"] == "FeatureCollection"


def test_shifted_images_are_flagged_and_those_as_trained_are_not(out: Path) -> None:
    lines = (out / "printed.txt").read_text().splitlines()
    verdicts = {
        name: line.split(f"{name}: ")[1].split(". ")[0]
        for line in lines
        for name in ("as trained", *SHIFTS)
        if line.startswith(f"  {name}: ")
    }
    assert verdicts.pop("as trained") != "drift"
    assert verdicts == dict.fromkeys(SHIFTS, "drift")


def test_the_reports_can_be_opened(out: Path) -> None:
    reports = list((out / "store" / "reports").rglob("*.html"))
    assert len(reports) == 1 + len(SHIFTS)
    assert all("<html" in report.read_text()[:5000].lower() for report in reports)


def test_nothing_is_left_running(out: Path) -> None:
    mark = f"PARKING_STATE_DIR={out.resolve()}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            assert mark not in (entry / "environ").read_bytes().split(b"\0"), (entry / "cmdline").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
