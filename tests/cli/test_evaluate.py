"""`parking evaluate`: scores on the frozen test scenes, and what flatters them."""

from pathlib import Path

import pytest

from parking.data.dataset import Snapshot, ingest
from parking.data.synthetic import generate_dataset
from parking.detection.contract import LearntFrom
from parking.learning.known_scenes import learnt_from
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import load_samples
from parking.storage import Store, open_store
from tests.cli.conftest import Command
from tests.doubles import write_bright_model

pytestmark = pytest.mark.e2e


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "state" / "store"))


@pytest.fixture
def scenes(tmp_path: Path) -> str:
    return str(generate_dataset(tmp_path / "scenes", 20, seed=2, size=96))


def learnt(snapshot: Snapshot, store: Store) -> LearntFrom:
    return learnt_from(load_samples(store, snapshot.train, Recipe()))


def test_scenes_that_the_model_learnt_from_do_not_count_in_any_store(
    parking: Command, store: Store, scenes: str, tmp_path: Path
) -> None:
    elsewhere = open_store(str(tmp_path / "elsewhere"))
    earlier = ingest(scenes, elsewhere, test_share=0.1).snapshot
    today = ingest(scenes, store, test_share=0.3).snapshot
    unseen = {scene.sha256 for scene in today.test} - {scene.sha256 for scene in earlier.train}
    assert 0 < len(unseen) < len(today.test)
    model = write_bright_model(tmp_path / "model.onnx", learnt_from=learnt(earlier, elsewhere))
    answer = parking("evaluate", "--model", model, "--state", tmp_path / "state")
    assert answer.status == 0, answer.err
    assert f"Model {model} on {len(unseen)} test scenes of snapshot {today.version}" in answer.out
    assert f"{len(today.test) - len(unseen)} more test scenes do not count" in answer.out
    assert "too few to judge" in answer.out


def test_a_model_that_learnt_from_all_of_them_gets_no_scores(
    parking: Command, store: Store, scenes: str, tmp_path: Path
) -> None:
    elsewhere = open_store(str(tmp_path / "elsewhere"))
    everything = ingest(scenes, elsewhere, test_share=0).snapshot
    today = ingest(scenes, store, test_share=0.3).snapshot
    model = write_bright_model(tmp_path / "model.onnx", learnt_from=learnt(everything, elsewhere))
    answer = parking("evaluate", "--model", model, "--state", tmp_path / "state")
    assert answer.status == 1
    assert f"has learnt from all {len(today.test)} test scenes" in answer.err
    assert "iou" not in answer.out


def test_a_model_that_does_not_say_what_it_learnt_from_is_said_to_be_flattered(
    parking: Command, store: Store, scenes: str, tmp_path: Path
) -> None:
    ingest(scenes, store, test_share=0.3)
    model = write_bright_model(tmp_path / "model.onnx", learnt_from=None)
    answer = parking("evaluate", "--model", model, "--state", tmp_path / "state")
    assert answer.status == 0, answer.err
    assert "does not say which scenes it learnt from" in answer.out
    assert "Places found beyond those annotated" in answer.out
