"""What people should look at becomes tasks that Label Studio takes, and comes back as annotations."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from PIL import Image

from monitoring.answers import AnsweredSpot, keep_answer
from monitoring.label_studio_export import write_tasks
from parking.data.dataset import ingest
from parking.errors import OutputError
from parking.storage import FolderStore
from tests.monitoring.test_corrections import LEFT, RIGHT, THIRD, answer, correct, picture


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "store")
    for number, confidence in enumerate((0.9, 0.4, 0.6)):
        spots = (AnsweredSpot(ring=LEFT, confidence=0.95), AnsweredSpot(ring=RIGHT, confidence=confidence))
        keep_answer(made, answer(f"r{number}", spots=spots), picture(number))
    keep_answer(made, answer("blind"))
    correct(made, "r0", removed=[1], added=[THIRD], by="Ada")
    return made


def test_corrected_answers_come_first_and_then_the_least_sure(store: FolderStore, tmp_path: Path) -> None:
    written = write_tasks(store, tmp_path / "out", lowest=1)
    assert (written.corrected, written.uncertain, written.imageless) == (1, 1, 1)
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert [task["data"]["why"] for task in tasks] == ["corrected by Ada", "of low confidence"]
    assert tasks[1]["data"]["image"] == "/data/local-files/?d=out/images/r1.png"
    assert tasks[1]["predictions"][0]["score"] == 0.4
    assert (tmp_path / "out" / "images" / "r1.png").read_bytes() == picture(1)


def test_an_image_is_there_once_with_its_latest_correction(store: FolderStore, tmp_path: Path) -> None:
    keep_answer(store, answer("again"), picture(0))
    keep_answer(store, answer("and-again"), picture(0))
    correct(store, "and-again", later=2, right=True, by="Bob")
    assert write_tasks(store, tmp_path / "out", lowest=0).corrected == 1
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert task["data"]["why"] == "corrected by Bob"


def test_a_geotiff_becomes_an_image_that_browsers_show(store: FolderStore, tmp_path: Path) -> None:
    with rasterio.MemoryFile() as file:
        where = {"crs": "EPSG:2154", "transform": rasterio.Affine(0.1, 0, 652_000, 0, -0.1, 6_862_000)}
        with file.open(driver="GTiff", width=80, height=60, count=3, dtype="uint8", **where) as dataset:
            dataset.write(np.full((3, 60, 80), 90, np.uint8))
        keep_answer(store, answer("placed"), bytes(file.read()))
    write_tasks(store, tmp_path / "out", lowest=9)
    with Image.open(tmp_path / "out" / "images" / "placed.png") as image:
        assert (image.format, image.size) == ("PNG", (80, 60))


def test_the_config_and_what_to_do_fit_the_tasks(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "to annotate"
    write_tasks(store, folder, lowest=9)
    config = ElementTree.fromstring((folder / "labeling-config.xml").read_text())
    region = json.loads((folder / "tasks.json").read_text())[0]["predictions"][0]["result"][0]
    polygons = config.find(f"PolygonLabels[@name='{region['from_name']}'][@toName='{region['to_name']}']")
    assert polygons is not None
    assert set(region["value"]["polygonlabels"]) <= {label.get("value") for label in polygons}
    assert config.find(f"Image[@name='{region['to_name']}'][@value='$image']") is not None
    told = (folder / "README.md").read_text()
    assert f"DOCUMENT_ROOT={tmp_path}\n" in told
    assert f"'{folder / 'images'}'" in told


def test_a_task_that_was_annotated_as_suggested_is_a_scene_with_the_same_places(
    store: FolderStore, tmp_path: Path
) -> None:
    write_tasks(store, tmp_path / "out", lowest=9)
    file = tmp_path / "out" / "tasks.json"
    tasks = json.loads(file.read_text())
    for task in tasks:
        task["annotations"] = [{"completed_by": 1, "result": task["predictions"][0]["result"]}]
    file.write_text(json.dumps(tasks))
    scenes = {scene.name: scene.rings for scene in ingest(str(tmp_path / "out"), store).snapshot.scenes}
    assert len(scenes) == 3
    assert np.allclose(scenes["r1.png"], [LEFT, RIGHT], atol=0.01)


def test_a_folder_that_cannot_be_written_is_a_sentence(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="Tasks cannot be written to"):
        write_tasks(store, tmp_path / "out", lowest=1)
