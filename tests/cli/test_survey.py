"""`parking survey`: a command to start, to stop and to start again, and what came of two."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.doubles import write_bright_model
from tests.parking.survey.drawing import cut, draw
from tests.parking.survey.surveying import layer, threads_cluster


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_bright_model(tmp_path / "bright.onnx")


@pytest.mark.e2e
def test_a_survey_is_made_and_made_again_where_its_imagery_was_unreadable(
    parking: Command, model: Path, tmp_path: Path
) -> None:
    pixels, bays = draw(120, 1400, 25)
    ortho = cut(tmp_path / "ortho", pixels, [], [1100], compress="deflate")
    districts = layer(tmp_path / "districts.gpkg", {"West": (0, 50), "East": (50, 200)})
    words = ("survey", ortho, "--out", "out", "--districts", districts, "--block", "256", "--model", model)
    whole = (ortho / "0-1100.tif").read_bytes()
    # Its header is whole, and its pixels are not.
    (ortho / "0-1100.tif").write_bytes(whole[:8] + b"\xff" * 3_000 + whole[3_008:])
    with threads_cluster() as dask:
        broken = parking(*words, "--dask", dask)
        assert broken.status == 1
        assert re.search(r"\d+ of \d+ blocks could not be computed, as of: Its imagery cannot be read", broken.out)
        (ortho / "0-1100.tif").write_bytes(whole)
        done = parking(*words, "--dask", dask)
    assert done.status == 0
    assert f"{bays} free places (80 % interval" in done.out
    assert json.loads((tmp_path / "out" / "survey.json").read_text())["places"] == bays
    same = parking("survey", "compare", "out", "out", "--out", "changes")
    assert (same.status, f"{bays} stayed" in same.out, "0 came" in same.out) == (0, True, True)


@pytest.mark.e2e
def test_processes_of_its_own_find_the_same(parking: Command, model: Path, tmp_path: Path) -> None:
    pixels, bays = draw(100, 300, 6)
    cut(tmp_path / "ortho", pixels, [], [150])
    answer = parking("survey", "run", "ortho", "--out", "out", "--workers", "2", "--block", "256", "--model", model)
    assert (answer.status, f"{bays} free places" in answer.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "--out", "out"), "There is no file or folder 'nowhere'"),
        ((".", "--out", "out", "--bbox", "1,2,3"), "is no box: give --bbox west,south,east,north"),
        ((".", "--out", "out", "--area", "nowhere.gpkg"), "There is no layer 'nowhere.gpkg'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    parking: Command, model: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    cut(tmp_path, draw(60, 60, 1)[0], [], [])
    answer = parking("survey", *words, "--model", model)
    assert answer.status == 1
    assert said in " ".join((answer.out + answer.err).split())
    assert "Traceback" not in answer.err
