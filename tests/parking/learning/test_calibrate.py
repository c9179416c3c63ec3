"""A file that is calibrated anew keeps its network, and chooses all else on scenes that taught it nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.errors import DatasetError
from parking.learning.calibrate import Calibrated, calibrate_file
from parking.learning.export import export_onnx
from parking.learning.known_scenes import known_scenes, learnt_from
from parking.learning.network import build_network
from parking.learning.release import with_golden_tile
from parking.learning.rules import draft_contract
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, box, paint


def scene(number: int) -> Sample:
    """Two places and a vehicle on ground that is like no other scene's."""
    drawn = paint(number, (box(10, 10, 14, 28), box(60, 50, 14, 28)), (box(36, 20, 12, 26),), size=128)
    ground = np.random.default_rng(number).integers(0, 60, (16, 16, 3)).astype(np.uint8)
    pixels = np.maximum(drawn.pixels, np.kron(ground, np.ones((8, 8, 1), np.uint8)))
    return replace(drawn, pixels=pixels)


SCENES = [scene(number) for number in range(8)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose network has learnt from the first two scenes, it says."""
    network = build_network(TINY).eval()
    contract = with_golden_tile(draft_contract(TINY), network, TINY)
    told = contract.model_copy(update={"learnt_from": learnt_from(SCENES[:2]), "scores": {"iou": 0.9}})
    return export_onnx(network, TINY, tmp_path_factory.mktemp("model") / "model.onnx", told)


def calibrate(model: Path, samples: list[Sample], out: Path) -> Calibrated:
    """The calibration of a file."""
    return calibrate_file(model, Detector.load(model), samples, out)


def test_the_network_stays_and_the_contract_is_the_new_one(model: Path, tmp_path: Path) -> None:
    made = calibrate(model, SCENES, tmp_path / "new" / "mine.onnx")
    old, new = Detector.load(model).contract, Detector.load(tmp_path / "new" / "mine.onnx").contract
    assert new == made.contract
    assert new.threshold != old.threshold
    graphs = [onnx.load(str(file)).graph.SerializeToString() for file in (model, tmp_path / "new" / "mine.onnx")]
    assert graphs[0] == graphs[1]
    assert len(onnx.load(str(tmp_path / "new" / "mine.onnx")).metadata_props) == 1


def test_scenes_that_chose_are_listed_and_those_that_taught_choose_nothing(model: Path, tmp_path: Path) -> None:
    made = calibrate(model, SCENES, tmp_path / "mine.onnx")
    assert {p.name for p in made.holdout.predictions} == {sample.name for sample in SCENES[2:]}
    listed = made.contract.calibrated_on
    assert listed is not None
    assert known_scenes(listed, SCENES) >= {sample.scene.sha256 for sample in SCENES[2:]}
    assert made.contract.learnt_from == Detector.load(model).contract.learnt_from


def test_scores_of_the_old_rules_are_not_those_of_the_new(model: Path, tmp_path: Path) -> None:
    contract: Contract = calibrate(model, SCENES, tmp_path / "mine.onnx").contract
    assert contract.scores == {}


def test_a_file_is_calibrated_in_place_or_not_at_all(model: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.onnx"
    same.write_bytes(model.read_bytes())
    with pytest.raises(DatasetError, match="has not learnt from"):
        calibrate(same, SCENES[:3], same)
    assert same.read_bytes() == model.read_bytes()
    calibrate(same, SCENES, same)
    assert Detector.load(same).contract.calibrated_on is not None
