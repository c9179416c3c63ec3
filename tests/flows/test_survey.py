"""The survey flow: a whole survey into the store, with what it found, and where its map is, as artifacts in Prefect."""

from pathlib import Path
from typing import Any

import pytest

from flows.survey import survey
from parking.errors import SurveyError
from parking.settings import get_settings
from tests.doubles import write_colour_model
from tests.flows.conftest import newest_artifact
from tests.parking.survey.drawing import GSD
from tests.parking.survey.surveying import draw_car_park


@pytest.fixture
def city(tmp_path: Path) -> dict[str, Any]:
    """What the form asks for: a drawn car park in two districts."""
    lot, districts = draw_car_park(tmp_path)
    model = write_colour_model(tmp_path / "colour.onnx", gsd=GSD)
    return {"name": "town", "sources": [str(lot)], "districts": str(districts), "model": str(model)}


def test_a_survey_from_prefect_lies_where_the_service_looks_and_shows_its_table_and_map(city: dict[str, Any]) -> None:
    found = survey(**city)
    folder = Path(get_settings().store_url) / "surveys" / "town"
    assert (found.folder, found.places, found.vehicles, found.failed_blocks) == (str(folder), 2, 5, 0)
    assert {"places.gpkg", "survey.json", "report.html"} <= {file.name for file in folder.iterdir()}
    told = newest_artifact("survey-town")
    assert told["type"] == "markdown"
    assert told["data"].startswith("**2 free places** (80 % interval ")
    table = newest_artifact("survey-town-districts")
    assert table["type"] == "table"
    assert '"name": "West"' in table["data"]
    assert '"name": "East"' in table["data"]
    assert f"{folder}/report.html" in newest_artifact("survey-town-map")["data"]


def test_a_run_that_is_started_again_computes_nothing_twice(city: dict[str, Any]) -> None:
    survey(**city)
    blocks = Path(get_settings().store_url) / "surveys" / "town" / ".survey" / "blocks"
    before = {file.name: file.stat().st_mtime_ns for file in blocks.iterdir()}
    assert survey(**city).places == 2
    assert {file.name: file.stat().st_mtime_ns for file in blocks.iterdir()} == before


def test_what_cannot_be_is_said_by_the_run_as_by_the_command(city: dict[str, Any]) -> None:
    with pytest.raises(SurveyError, match="touches no imagery"):
        survey(**city, bbox=(10, 50, 11, 51))
