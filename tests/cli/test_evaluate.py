"""`parking evaluate`: scores on the frozen test scenes, and what flatters them."""

from pathlib import Path

import pytest

from parking.data.dataset import ingest
from parking.data.synthetic import generate_dataset
from parking.storage import Store, open_store
from tests.cli.conftest import Command
from tests.doubles import write_bright_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "state" / "store"))


def test_it_says_how_many_of_the_scenes_the_model_has_learnt_from(
    parking: Command, store: Store, tmp_path: Path
) -> None:
    scenes = str(generate_dataset(tmp_path / "scenes", 10, seed=2, size=96))
    everything = ingest(scenes, store, test_share=0).snapshot
    today = ingest(scenes, store, test_share=0.3).snapshot
    for version, told in [(everything.version, True), (today.version, False)]:
        model = write_bright_model(tmp_path / "model.onnx", dataset_version=version)
        answer = parking("evaluate", "--model", model, "--state", tmp_path / "state")
        assert answer.status == 0, answer.err
        assert f"Model {model} on {len(today.test)} test scenes of snapshot {today.version}" in answer.out
        flattered = f"It has learnt from {len(today.test)} of these {len(today.test)} scenes"
        assert (flattered in answer.out) == told
