"""Measures durations on this machine: the parts of a training, and inference."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np
from loguru import logger

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.learning.recipe import SEARCHED, Recipe
from parking.learning.scene_cache import samples_of
from parking.learning.training_scenes import Sample

if TYPE_CHECKING:
    from parking.learning.scene_prediction import ScenePrediction

__all__ = ["ALLOWANCE_SECONDS", "REHEARSED", "Costs", "costs_of", "measure_costs", "rehearsal", "serving_speed"]

ALLOWANCE_SECONDS = 30.0
"""Seconds for export, pictures and registration, which do not depend on the number of scenes."""

REHEARSED = 3
"""Number of scenes that are predicted to measure the time."""

_SIDE = 1024
_GSD = 0.1
"""Metres per pixel of the megapixel that is served: what a coarser network saves counts."""

_ROUNDS = 3

_SURE = 0.95
"""Probability that a trained network gives to what it sees."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Durations of the parts of a training in seconds, on this machine under its current load."""

    step: float
    """One optimiser step."""

    folds: float
    """All folds of one recipe without their steps: validation, prediction and scores of each training scene."""

    rules: float
    """Thresholds and calibrations from the predictions of the folds."""

    test: float
    """Prediction and scores of the test scenes."""

    def trial(self, steps: int, folds: int) -> float:
        """Seconds of one trial."""
        return folds * steps * self.step + self.folds

    def training(self, steps: int, folds: int) -> float:
        """Seconds of one training with its folds, without learning from generated scenes first."""
        return (folds + 1) * steps * self.step + self.folds + self.rules + self.after_last_fit

    @property
    def after_last_fit(self) -> float:
        """Seconds of a training after its last step."""
        return self.test + ALLOWANCE_SECONDS


def costs_of(dataset: str, recipe: Recipe, folds: int) -> Costs:
    """The costs of training a recipe on a snapshot; all but the step are measured once per process.

    Args:
        dataset: version of the snapshot.
        recipe: to be trained.
        folds: of the cross-validation.
    """
    from parking.learning.train import seconds_per_step

    alike = {name: Recipe.model_fields[name].default for name in SEARCHED} | {"steps": 1}
    rest = _measured(dataset, recipe.model_copy(update=alike).model_dump_json(), folds)
    return replace(rest, step=seconds_per_step(recipe, samples_of(dataset, "train", recipe.gsd)))


@lru_cache(maxsize=4)
def _measured(dataset: str, recipe: str, folds: int) -> Costs:
    read = Recipe.model_validate_json(recipe)
    logger.info("Measuring on some scenes how long a training takes on this machine, to make it fit into the time.")
    return measure_costs(read, samples_of(dataset, "train", read.gsd), samples_of(dataset, "test", read.gsd), folds)


def measure_costs(recipe: Recipe, train: Sequence[Sample], test: Sequence[Sample], folds: int) -> Costs:
    """Measure the parts of a training with a few steps and a few predicted scenes; nothing is kept.

    The network is untrained, and would mark thousands of specks: what follows its answers is measured on maps of what
    was drawn.

    Args:
        recipe: to be trained.
        train: scenes to learn from.
        test: scenes to score on.
        folds: of the cross-validation.

    Returns:
        The costs, with a step that takes no time: see `costs_of`.
    """
    # Imported late: torch takes seconds, and budgets are kept without it.
    from parking.learning.crossval import calibrated
    from parking.learning.evaluate import score
    from parking.learning.network import build_network
    from parking.learning.oof_cache import coarse
    from parking.learning.predict import detector_of, predict
    from parking.learning.rules import draft_contract
    from parking.learning.scene_embedding import COMPONENTS, fit_heads
    from parking.learning.scene_prediction import predict_scene

    scenes = rehearsal(train, REHEARSED)
    pixels = sum(sample.mask.size for sample in scenes)
    learnt, tested = (sum(sample.mask.size for sample in samples) / pixels for samples in (train, test))
    network = build_network(recipe).eval()
    embedded, embedding = rehearsal(train, COMPONENTS), _Stopwatch()
    heads = fit_heads(recipe, embedded)
    embed = embedding.seconds / sum(sample.mask.size for sample in embedded) * pixels
    validating = _Stopwatch()
    for sample in scenes:
        predict(network, recipe, sample.pixels)
    validate = validating.seconds
    detector, predicting = detector_of(network, recipe, heads), _Stopwatch()
    predictions = [coarse(predict_scene(detector, sample)) for sample in scenes]
    prediction, scoring = predicting.seconds, _Stopwatch()
    contract = draft_contract(recipe)
    predictions = [_as_drawn(prediction, recipe) for prediction in predictions]
    score(predictions, contract)
    scored, choosing = scoring.seconds, _Stopwatch()
    calibrated(contract, predictions)
    chosen = choosing.seconds
    return Costs(
        step=0.0,
        folds=learnt * (recipe.evaluations * validate + embed + prediction + scored),
        # Each fold is scored with the rules of the others, and all choose once more: every scene counts `folds` times.
        rules=learnt * (folds * chosen + scored),
        test=tested * (prediction + scored),
    )


def _as_drawn(prediction: "ScenePrediction", recipe: Recipe) -> "ScenePrediction":
    """The prediction of a network that has learnt a scene."""
    from parking.learning.targets import view_of

    labels = view_of(prediction.sample, recipe.maps, recipe.inset).labels
    surely = np.where(labels == 1, _SURE, 1 - _SURE).astype(np.float32)
    drawn = {
        name: cv2.resize(surely[..., recipe.maps.index(name)], one.shape[::-1]) for name, one in prediction.maps.items()
    }
    return replace(
        prediction,
        probability=cv2.resize(surely[..., 0], prediction.probability.shape[::-1]).astype(np.float16),
        maps={name: one.astype(np.float16) for name, one in drawn.items()},
    )


class _Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began


def rehearsal(samples: Sequence[Sample], count: int) -> list[Sample]:
    """A few representative scenes: evenly spaced from the smallest to the largest."""
    by_size = sorted(samples, key=lambda sample: sample.mask.size)
    count = min(count, len(by_size))
    return [by_size[(2 * n + 1) * len(by_size) // (2 * count)] for n in range(count)]


def serving_speed(recipe: Recipe, threads: int = 2) -> float:
    """Megapixels per second through the detector that serves, on `threads` CPU threads; weights do not matter.

    The megapixels are of an image with 0.1 m a pixel, which the detector resamples to the recipe's resolution first.

    Args:
        recipe: whose network to build, untrained.
        threads: of ONNX Runtime.
    """
    # Imported late, as above.
    from parking.learning.export import export_onnx
    from parking.learning.network import build_network
    from parking.learning.release import with_golden_tile
    from parking.learning.rules import draft_contract

    bare = recipe.model_copy(update={"encoder_weights": "none", "device": "cpu"})
    network = build_network(bare).eval()
    with TemporaryDirectory() as folder:
        model = export_onnx(
            network, bare, Path(folder) / "model.onnx", with_golden_tile(draft_contract(bare), network, bare)
        )
        detector = Detector.load(model, threads=threads)
    scene = Raster(np.random.default_rng(0).integers(0, 255, (_SIDE, _SIDE, 3), np.uint8), gsd=_GSD)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        detector.read(scene)
        times.append(time.perf_counter() - start)
    return _SIDE * _SIDE / 1e6 / median(times)
