"""A model file judged by scenes that its network has not learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass

from parking.data.split import make_folds
from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.errors import DatasetError
from parking.learning.crossval import calibrated
from parking.learning.evaluate import Scores, score_together
from parking.learning.known_scenes import known_scenes
from parking.learning.scene_prediction import ScenePrediction, predict_scene
from parking.learning.training_scenes import KINDS, Kind, Sample
from parking.progress import Progress, silent

__all__ = ["Holdout", "held_out", "judge_file"]

PARTS = 5
"""Parts of the scenes, each judged by rules of the others: nearly as many scenes choose as choose for a file."""


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Predictions of scenes that a network has not learnt from, in parts."""

    parts: tuple[tuple[tuple[ScenePrediction, ...], Contract], ...]
    """The predictions of each part, with thresholds and calibrations that the other parts choose."""

    @property
    def predictions(self) -> tuple[ScenePrediction, ...]:
        """Of all scenes."""
        return tuple(prediction for part, _ in self.parts for prediction in part)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of scenes that there are."""
        present = {prediction.kind for prediction in self.predictions}
        return tuple(kind for kind in KINDS if kind in present)

    def scores(self, kind: Kind) -> Scores:
        """Scores of one kind of scenes, all parts together."""
        return score_together([(_of_kind(part, kind), contract) for part, contract in self.parts])

    def biases(self, kind: Kind) -> tuple[float, ...]:
        """Bias of the count in each part: what the other parts' rules are worth there."""
        return tuple(score_together([(_of_kind(part, kind), contract)]).count_bias for part, contract in self.parts)

    def places(self, kind: Kind) -> int:
        """Free places annotated in the scenes of one kind."""
        return sum(len(prediction.rings) for prediction in _of_kind(self.predictions, kind))


def held_out(contract: Contract, samples: Sequence[Sample]) -> list[Sample]:
    """The scenes that taught a model's network nothing.

    Raises:
        DatasetError: the model does not say what it learnt from, or it learnt from all, or too few are left to be
            halved.
    """
    if contract.learnt_from is None:
        raise DatasetError(
            "The model does not say which scenes it learnt from, so no scene is known to judge it fairly: train one "
            "with this version."
        )
    known = known_scenes(contract.learnt_from, samples)
    left = [sample for sample in samples if sample.scene.sha256 not in known]
    if _places(left) < 2:
        raise DatasetError(
            f"Of {len(samples)} scenes the model has not learnt from {len(left)}: scenes of at least two places that "
            "say where free places are have to be left. Give it images that it has not seen."
        )
    return left


def judge_file(detector: Detector, samples: Sequence[Sample], progress: Progress = silent) -> Holdout:
    """Predict scenes as they are served, and judge each fifth by the rules that the others choose.

    The thresholds in the file may come from these very scenes; so they are chosen anew. Of fewer than five places there
    are as many parts as places.

    Args:
        detector: the loaded model.
        samples: see `held_out`.
        progress: told of every scene.
    """
    predictions = {}
    for done, sample in enumerate(samples, 1):
        predictions[id(sample.scene)] = predict_scene(detector, sample)
        progress(done, len(samples), "predicting scenes")
    parts = []
    for fold in make_folds([sample.scene for sample in samples], min(PARTS, _places(samples))):
        rules = calibrated(detector.contract, [predictions[id(scene)] for scene in fold.train])
        parts.append((tuple(predictions[id(scene)] for scene in fold.validation), rules))
    return Holdout(tuple(parts))


def _places(samples: Sequence[Sample]) -> int:
    """How many groups of near-duplicates say where free places are."""
    return len({sample.scene.group for sample in samples if sample.judges})


def _of_kind(predictions: Sequence[ScenePrediction], kind: Kind) -> list[ScenePrediction]:
    return [prediction for prediction in predictions if prediction.kind == kind]
