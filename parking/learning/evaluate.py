"""Scores of predictions: of a dataset's pixels, of its single places, and of its counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from shapely import Polygon

from parking.data.polygons import Ring
from parking.detection.confidence import mean_inside
from parking.detection.contract import Contract, CountCalibration
from parking.detection.spots import Spot, SpotRules, find_spots, rules_for
from parking.learning import metrics
from parking.learning.metrics import Histogram, PixelCounts
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

if TYPE_CHECKING:
    from parking.detection.detector import Detector

_LEAST_DISPERSION = 0.05
"""A handful of scenes can be counted without an error by luck; the interval must not shrink to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class ScenePrediction:
    """What a model answered to a scene, beside the scene."""

    name: str
    probability: NDArray[np.float16] | NDArray[np.float32]
    """(H, W), in half precision where many are kept."""

    sample: Sample

    size_px: float | None = None
    """Root of the area that places are expected to have in the scene, where that was guessed."""

    embedding: tuple[float, ...] = ()
    """See `parking.detection.detector.Detection`."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), true where a pixel is free parking."""
        return self.sample.mask

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The free places annotated."""
        return self.sample.rings

    @property
    def annotator(self) -> str:
        """Who annotated them."""
        return self.sample.scene.annotator


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


def score(predictions: Sequence[ScenePrediction], rules: SpotRules, gsd: float) -> Scores:
    """Score predictions of scenes.

    Args:
        predictions: of scenes that the model did not learn from.
        rules: threshold, and how pixels become places.
        gsd: metres per pixel of the predictions.
    """
    if not predictions:
        return Scores.model_validate(dict.fromkeys(Scores.model_fields, 0))
    histogram = histogram_of(predictions)
    pixels = histogram.counts(rules.threshold)
    spots = [found_spots(prediction, rules, gsd) for prediction in predictions]
    found = [[spot.ring for spot in there] for there in spots]
    true = [prediction.rings for prediction in predictions]
    sure = [spot.confidence for there in spots for spot in there]
    free = [is_free(spot, prediction) for prediction, there in zip(predictions, spots, strict=True) for spot in there]
    mae, rmse, bias = metrics.count_errors([len(rings) for rings in found], [len(rings) for rings in true])
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
        scenes=len(predictions),
    )


def histogram_of(predictions: Sequence[ScenePrediction]) -> Histogram:
    """The pixels of all predictions by probability."""
    return sum((Histogram.of(p.probability, p.mask) for p in predictions), start=Histogram.empty())


def choose_threshold(predictions: Sequence[ScenePrediction]) -> float:
    """The threshold with the largest IoU over all predictions, which must be out-of-fold."""
    return histogram_of(predictions).best_threshold()[0]


def calibrate_count(predictions: Sequence[ScenePrediction], rules: SpotRules, gsd: float) -> CountCalibration:
    """How the number of places annotated relates to the number found, on out-of-fold predictions.

    The ratio is that of the sums; the dispersion is that of a quasi-Poisson count (Wedderburn, 1974): the mean of
    squared errors over the expected number.
    """
    found = np.array([len(found_rings(prediction, rules, gsd)) for prediction in predictions], np.float64)
    true = np.array([len(prediction.rings) for prediction in predictions], np.float64)
    if not found.sum() or not true.sum():
        return CountCalibration()
    ratio = float(true.sum() / found.sum())
    expected = ratio * found
    # A scene in which nothing was found expects less than one place, not exactly none.
    dispersion = float(np.mean((true - expected) ** 2 / np.maximum(expected, 1.0)))
    return CountCalibration(ratio=ratio, dispersion=max(dispersion, _LEAST_DISPERSION))


def scene_counts(predictions: Sequence[ScenePrediction], threshold: float) -> list[SceneCounts]:
    """Intersection and union of each scene, for the gate."""
    counts = []
    for prediction in predictions:
        c = Histogram.of(prediction.probability, prediction.mask).counts(threshold)
        counts.append(SceneCounts(prediction.sample.scene.sha256, c.tp, c.tp + c.fp + c.fn, len(prediction.rings)))
    return counts


def evaluate_model(
    detector: Detector, samples: Sequence[Sample], progress: Progress = silent
) -> tuple[Scores, list[ScenePrediction]]:
    """Score an exported model as it will serve, through the same tiles, rules and threshold.

    Args:
        detector: the loaded model.
        samples: scenes at the contract's ground resolution.
        progress: told of every scene.
    """
    # Imported late: see `parking.learning.training_scenes`.
    from parking.data.imagery import Raster

    contract, predictions = detector.contract, []
    for done, sample in enumerate(samples, 1):
        seen = detector.read(Raster(sample.pixels, name=sample.name))
        size_px = None if sample.scene.gsd else seen.size_px
        predictions.append(ScenePrediction(sample.name, seen.probability.astype(np.float16), sample, size_px))
        progress(done, len(samples), "scoring scenes")
    return score(predictions, model_rules(contract), contract.gsd), predictions


def model_rules(contract: Contract, threshold: float | None = None) -> SpotRules:
    """A contract's rules at its own ground resolution, with another threshold if one is given."""
    rules = rules_for(contract, contract.gsd)
    return rules if threshold is None else replace(rules, threshold=threshold)


def found_rings(prediction: ScenePrediction, rules: SpotRules, gsd: float) -> list[Ring]:
    """Outlines of the places in a prediction."""
    return [spot.ring for spot in found_spots(prediction, rules, gsd)]


def found_spots(prediction: ScenePrediction, rules: SpotRules, gsd: float) -> tuple[Spot, ...]:
    """The places in a prediction."""
    probability = prediction.probability.astype(np.float32)
    return find_spots(probability, prediction.sample.pixels, rules, gsd, size_px=prediction.size_px)


def is_free(spot: Spot, prediction: ScenePrediction) -> bool:
    """Whether most of a place lies on ground that was annotated as free.

    One outline round a row makes each place in it right, as it would not if outlines were matched.
    """
    return mean_inside(Polygon(spot.ring), prediction.mask) >= 0.5


def _matched(found: Sequence[Sequence[Ring]], true: Sequence[Sequence[Ring]], iou: float) -> PixelCounts:
    """Single places of all scenes: found, found wrongly, missed."""
    matches = (metrics.match(ours, theirs, iou) for ours, theirs in zip(found, true, strict=True))
    return sum((PixelCounts(*match) for match in matches), start=PixelCounts())
