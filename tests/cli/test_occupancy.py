"""`parking occupancy`: which known bays are taken."""

import json
from pathlib import Path

import pytest

from parking.data.imagery import encode_png
from tests.doubles import write_bright_model, write_colour_model
from tests.parking.data.test_bays import box, layer
from tests.parking.detection.test_scale import street

RUN = ["occupancy", "street.png", "--bays", "bays.geojson", "--gsd", "0.15"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("street.png").write_bytes(encode_png(street(0.15).pixels))
    bays = [box(x / 0.15, y / 0.15, 2.5 / 0.15, 5 / 0.15) for x, y in ((2, 15), (5, 15), (1.7, 2.8), (300, 2))]
    Path("bays.geojson").write_bytes(layer(*bays, owner="city"))
    return tmp_path


def run(*words: str) -> int:
    from cli.app import app

    try:
        app(list(words), standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_each_bay_is_free_or_taken_and_keeps_its_attributes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_colour_model(here / "model.onnx")
    assert run(*RUN, "--model", str(model), "--json", "--state", str(here / "state")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["free"], told["occupied"], told["unsure"], told["outside"]) == (2, 1, 0, 1)
    answer = json.loads((here / "predictions/street.bays.geojson").read_text())
    assert [f["properties"]["state"] for f in answer["features"]] == ["free", "free", "occupied"]
    assert {f["properties"]["owner"] for f in answer["features"]} == {"city"}
    assert all(0 <= f["properties"]["probability_occupied"] <= 1 for f in answer["features"])
    assert (here / "predictions/street.bays.png").stat().st_size > 100


def test_a_model_that_sees_no_vehicles_says_so(here: Path) -> None:
    from parking.errors import ModelError

    model = write_bright_model(here / "model.onnx")
    with pytest.raises(ModelError, match="sees no vehicles"):
        run(*RUN, "--model", str(model), "--state", str(here / "state"))


def test_a_missing_layer_is_a_sentence(here: Path) -> None:
    from parking.errors import BaysError

    with pytest.raises(BaysError, match=r"nowhere\.geojson"):
        run("occupancy", "street.png", "--bays", "nowhere.geojson", "--state", str(here / "state"))
