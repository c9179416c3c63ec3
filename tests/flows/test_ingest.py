"""The ingest flow: snapshots of what a person gives, drawn scenes for those who give nothing."""

import re
from pathlib import Path

import pytest

from flows.ingest import ingest
from flows.logs import show_in_runs
from parking.errors import DatasetError, QuarantineError
from parking.learning.scene_cache import find_snapshot, samples_of
from tests.flows.conftest import SCENES


def test_the_same_images_give_the_same_version(annotated: Path) -> None:
    first = ingest(str(annotated))
    assert ingest(str(annotated)) == first
    assert len(find_snapshot(first).scenes) == SCENES


def test_who_gives_no_images_gets_drawn_ones() -> None:
    snapshot = find_snapshot(ingest("generated", scenes=5, size=128))
    assert len(snapshot.scenes) == 5
    assert {(scene.width, scene.height) for scene in snapshot.scenes} == {(128, 128)}


def test_a_test_set_too_small_to_judge_by_is_said(caplog: pytest.LogCaptureFixture) -> None:
    # Another test of this process may have taken the handler away.
    show_in_runs()
    ingest("generated", scenes=5, size=128)
    assert "too few to judge a version by" in caplog.text
    assert "--force" in caplog.text


def test_several_sources_and_a_mapping_of_labels_make_one_snapshot(annotated: Path, tmp_path: Path) -> None:
    image = next(annotated.glob("*.png"))
    (tmp_path / f"other{image.suffix}").write_bytes(image.read_bytes() + b" ")
    (tmp_path / "other.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "classes.txt").write_text("Pkw")
    snapshot = find_snapshot(ingest(f"{annotated};{tmp_path}", labels="pkw=vehicle"))
    assert len(snapshot.scenes) == SCENES + 1
    assert [len(scene.vehicles) for scene in snapshot.scenes if "vehicle" in scene.annotated] == [1]
    vehicles = find_snapshot(ingest(str(tmp_path), labels="pkw=vehicle"))
    with pytest.raises(DatasetError, match=r"None of the 1 scenes .* says where free places are"):
        samples_of(vehicles.version, "train", 0.1)


def test_an_empty_folder_is_a_sentence_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        ingest(str(tmp_path))


def test_over_the_limit_the_run_stops_and_lists_what_cannot_be_used(annotated: Path, tmp_path: Path) -> None:
    for file in annotated.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    broken = min(tmp_path.glob("*.png"))
    broken.write_text("no picture")
    with pytest.raises(QuarantineError, match=re.escape(broken.name)):
        ingest(str(tmp_path), max_quarantined=0.01)
    quarantined = find_snapshot(ingest(str(tmp_path))).quarantine
    assert [item.image for item in quarantined] == [broken.name]
