"""Scores of predictions: of a dataset's pixels, of its single places and vehicles, and of its counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from parking.data.polygons import Ring
from parking.detection.contract import Contract, CountCalibration
from parking.detection.count import LEAST_DISPERSION, count_interval, map_uncertainty
from parking.detection.detector import Detector
from parking.learning import metrics
from parking.learning.bay_calibration import bay_answers
from parking.learning.metrics import PixelCounts
from parking.learning.scene_prediction import (
    ScenePrediction,
    found_spots,
    found_vehicles,
    histogram_of,
    is_free,
    judged_rings,
    predict_scene,
    scene_histogram,
)
from parking.learning.training_scenes import Kind, Sample
from parking.progress import Progress, silent

__all__ = ["SceneCounts", "Scores", "calibrate_count", "evaluate_model", "scene_counts", "score", "score_together"]

_LEVEL = 0.8
"""Share of scenes whose true number of places should lie in the interval."""


class Scores(BaseModel):
    """How good predictions are, for the free class, summed over all scenes before any ratio is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    iou: float
    """Intersection over union of free pixels."""

    dice: float
    """F1 of free pixels."""

    precision: float
    """Share of the pixels found that are free."""

    recall: float
    """Share of the free pixels that are found."""

    pr_auc: float
    """Average precision over all thresholds."""

    f1_50: float
    """F1 of single places, matched one to one where they overlap by an IoU of 0.5."""

    f1_25: float
    """The same for an IoU of 0.25."""

    count_mae: float
    """Mean absolute error of the number of places in a scene."""

    count_rmse: float
    """Root of the mean squared error of the same."""

    count_bias: float
    """Places found beyond those annotated, as a share of these, over all scenes scored: +50% is half too many."""

    ece: float
    """Expected calibration error of a pixel's probability."""

    place_ece: float
    """Expected calibration error of a place's confidence: how far it is from the share of such places that are free."""

    interval_held: float | None = None
    """Share of the scenes whose number of places lay in the interval that the model gave, at 80 %."""

    interval_width: float | None = None
    """Places from the lower to the upper bound of that interval, a scene."""

    vehicle_f1_50: float | None = None
    """F1 of single vehicles at an IoU of 0.5, where vehicles were annotated and the model sees them."""

    bay_accuracy: float | None = None
    """Share of the known bays whose state, free or taken, was the likelier one of the two."""

    bay_ece: float | None = None
    """Expected calibration error of the probability that a known bay is taken."""

    gsd_error: float | None = None
    """Median error of the estimated ground resolution, as a share of the one that the annotation tells."""

    scenes: int
    """Scenes scored; 0 means that nothing was measured, and every score is then 0."""


@dataclass(frozen=True, slots=True)
class SceneCounts:
    """Free pixels of one scene: in both prediction and truth, and in either."""

    image: str
    """Checksum of its image."""

    intersection: int
    union: int
    places: int
    """Free places annotated."""


Part = tuple[Sequence[ScenePrediction], Contract]
"""Predictions, and the contract that they are judged by."""


def score(predictions: Sequence[ScenePrediction], contract: Contract) -> Scores:
    """Score predictions of scenes.

    Args:
        predictions: of scenes that the model did not learn from; those that say nothing of free places are scored by
            their vehicles alone.
        contract: threshold, and how pixels become places.
    """
    return score_together([(predictions, contract)])


def score_together(parts: Sequence[Part]) -> Scores:
    """Score predictions of which each part has rules of its own, as if they were one set.

    Args:
        parts: such as the halves of a set, each with the rules that the other half chooses.
    """
    judging = [(prediction, contract) for part, contract in parts for prediction in part if prediction.sample.judges]
    besides = seen_besides(parts)
    if not judging:
        return Scores.model_validate(dict.fromkeys(_REQUIRED, 0) | besides)
    histogram = histogram_of([prediction for prediction, _ in judging])
    pixels = sum((scene_histogram(p).counts(contract.threshold) for p, contract in judging), start=PixelCounts())
    spots = [found_spots(prediction, contract) for prediction, contract in judging]
    found = [[spot.ring for spot in there] for there in spots]
    true = [judged_rings(prediction.rings, prediction.sample) for prediction, _ in judging]
    sure = [spot.confidence for there in spots for spot in there]
    free = [is_free(spot, prediction) for (prediction, _), there in zip(judging, spots, strict=True) for spot in there]
    counts = [len(rings) for rings in found], [len(rings) for rings in true]
    counted = [_counted(prediction, *own) for (prediction, _), *own in zip(judging, *counts, strict=True)]
    bounds = [one.bounds(contract.count) for one, (_, contract) in zip(counted, judging, strict=True)]
    mae, rmse, bias = metrics.count_errors(*counts)
    return Scores(
        iou=metrics.iou(pixels),
        dice=metrics.dice(pixels),
        precision=metrics.precision(pixels),
        recall=metrics.recall(pixels),
        pr_auc=histogram.pr_auc(),
        f1_50=metrics.dice(_matched(found, true, 0.5)),
        f1_25=metrics.dice(_matched(found, true, 0.25)),
        count_mae=mae,
        count_rmse=rmse,
        count_bias=bias,
        ece=histogram.ece(),
        place_ece=metrics.calibration_error(sure, free),
        interval_held=float(
            np.mean([low <= one.true <= high for one, (low, high) in zip(counted, bounds, strict=True)])
        ),
        interval_width=float(np.mean([high - low for low, high in bounds])),
        **besides,
        scenes=len(judging),
    )


def seen_besides(parts: Sequence[Part]) -> dict[str, float | None]:
    """Scores of vehicles, of known bays and of the estimated resolution; None where there is nothing to score."""
    with_vehicles = [
        (prediction, contract)
        for part, contract in parts
        for prediction in part
        if contract.vehicles and "vehicle" in prediction.sample.scene.annotated and prediction.sample.vehicles
    ]
    vehicles = None
    if with_vehicles:
        found = [[spot.ring for spot in found_vehicles(p, contract)] for p, contract in with_vehicles]
        true = [judged_rings(p.sample.vehicles, p.sample) for p, _ in with_vehicles]
        vehicles = metrics.dice(_matched(found, true, 0.5))
    bays = [answer for part, contract in parts for answer in bay_answers(part, contract)]
    sure, right = [answer.confidence for answer in bays], [answer.is_right for answer in bays]
    return {
        "vehicle_f1_50": vehicles,
        "bay_accuracy": float(np.mean(right)) if bays else None,
        "bay_ece": metrics.calibration_error(sure, right) if bays else None,
        "gsd_error": _gsd_error(parts),
    }


def calibrate_count(predictions: Sequence[ScenePrediction], contract: Contract) -> CountCalibration:
    """How the number of places annotated relates to the number found, on out-of-fold predictions.

    The ratio is that of the sums. The dispersion, as of a quasi-Poisson count (Wedderburn, 1974), is the smallest with
    which the interval holds the true number in four of five scenes of every kind: car parks, which are easier to count,
    must not make the interval too narrow for streets. So is the dispersion for each unit of a map's uncertainty.
    """
    judging = [prediction for prediction in predictions if prediction.sample.judges]
    found = [len(found_spots(prediction, contract)) for prediction in judging]
    true = [len(judged_rings(prediction.rings, prediction.sample)) for prediction in judging]
    if not sum(found) or not sum(true):
        return CountCalibration()
    counted = [_counted(*own) for own in zip(judging, found, true, strict=True)]
    plain = CountCalibration(ratio=sum(true) / sum(found))
    plain = plain.model_copy(update={"dispersion": _narrowest(counted, plain, "dispersion")})
    return plain.model_copy(update={"by_uncertainty": _narrowest(counted, plain, "by_uncertainty")})


def scene_counts(predictions: Sequence[ScenePrediction], threshold: float) -> list[SceneCounts]:
    """Intersection and union of each scene that says where free places are, for the gate."""
    counts = []
    for prediction in predictions:
        if prediction.sample.judges:
            c = scene_histogram(prediction).counts(threshold)
            image, places = prediction.sample.scene.sha256, len(prediction.rings)
            counts.append(SceneCounts(image, c.tp, c.tp + c.fp + c.fn, places))
    return counts


def evaluate_model(
    detector: Detector, samples: Sequence[Sample], progress: Progress = silent
) -> tuple[Scores, list[ScenePrediction]]:
    """Score an exported model as it will serve, through the same tiles, rules and threshold.

    Args:
        detector: the loaded model.
        samples: scenes, at the contract's ground resolution where their own is known.
        progress: called after every scene.
    """
    contract, predictions = detector.contract, []
    for done, sample in enumerate(samples, 1):
        predictions.append(predict_scene(detector, sample))
        progress(done, len(samples), "scoring scenes")
    return score(predictions, contract), predictions


def _matched(found: Sequence[Sequence[Ring]], true: Sequence[Sequence[Ring]], iou: float) -> PixelCounts:
    """Single places of all scenes: found, found wrongly, missed."""
    matches = (metrics.match(ours, theirs, iou) for ours, theirs in zip(found, true, strict=True))
    return sum((PixelCounts(*match) for match in matches), start=PixelCounts())


@dataclass(frozen=True, slots=True)
class _Counted:
    """Places of one scene."""

    kind: Kind
    found: int
    true: int
    uncertainty: float
    """Of its map."""

    def bounds(self, calibration: CountCalibration) -> tuple[int, int]:
        return count_interval(self.found, calibration, _LEVEL, self.uncertainty)


def _counted(prediction: ScenePrediction, found: int, true: int) -> _Counted:
    return _Counted(prediction.kind, found, true, map_uncertainty(prediction.probability))


def _narrowest(counted: Sequence[_Counted], calibration: CountCalibration, name: str) -> float:
    """The smallest value of a field with which the interval holds in four of five scenes of every kind."""
    by_kind = [[one for one in counted if one.kind == kind] for kind in {one.kind for one in counted}]
    low, high = LEAST_DISPERSION, 2000.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        tried = calibration.model_copy(update={name: middle})
        low, high = (low, middle) if min(_held(own, tried) for own in by_kind) >= _LEVEL else (middle, high)
    return high


def _held(counted: Sequence[_Counted], calibration: CountCalibration) -> float:
    bounds = [one.bounds(calibration) for one in counted]
    return float(np.mean([low <= one.true <= high for one, (low, high) in zip(counted, bounds, strict=True)]))


def _gsd_error(parts: Sequence[Part]) -> float | None:
    """Over the scenes whose resolution had to be estimated and whose annotation tells it."""
    errors = [
        abs(prediction.gsd / (prediction.sample.zoom * contract.gsd) - 1)
        for part, contract in parts
        for prediction in part
        if contract.vehicle_length_m
        and prediction.gsd
        and not prediction.sample.scene.gsd
        and prediction.sample.zoom != 1.0
    ]
    return float(np.median(errors)) if errors else None


_REQUIRED = [name for name, info in Scores.model_fields.items() if info.is_required()]
