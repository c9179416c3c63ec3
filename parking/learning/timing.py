"""How long things take: how many steps fit into the minutes that a person gives, and what a network costs to serve."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from loguru import logger

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

LEAST_STEPS = 4
"""Steps of a training that still ends in a model of some sort."""


PRETRAINING_SHARE = 0.5
"""Largest part of the time that learning from generated scenes may take; else it is left out."""

ALLOWANCE_SECONDS = 20.0
"""For what is neither a step nor a prediction: export, pictures, registration."""

_SIDE = 1024
_GSD = 0.1
"""Metres per pixel of the megapixel that is served: what a coarser network saves counts."""

_ROUNDS = 3


def shortened(recipe: Recipe, minutes: float, fits: int, seconds_per_step: float, *, besides: float = 0.0) -> Recipe:
    """The recipe with as many steps as fit into a time, and without pretraining where that would take most of it.

    Args:
        recipe: as it was asked for.
        minutes: time for everything.
        fits: trainings that share it.
        seconds_per_step: as measured on this machine.
        besides: seconds for what is no step, see `seconds_besides`.
    """
    if recipe.pretrain_steps * seconds_per_step > PRETRAINING_SHARE * (minutes * 60 - besides):
        took = recipe.pretrain_steps * seconds_per_step / 60
        logger.warning(
            "Generated scenes are left out: to learn from them first takes {:.1f} of {:g} minutes.", took, minutes
        )
        recipe = recipe.model_copy(update={"pretrain_steps": 0, "pretrain_scenes": 0})
    steps = steps_within(minutes, fits, seconds_per_step, before=recipe.pretrain_steps, besides=besides)
    return recipe.model_copy(update={"steps": steps})


def seconds_besides(recipe: Recipe, train: Sequence[Sample], test: Sequence[Sample]) -> float:
    """How long validation, test scores, export and pictures of one training with its folds take on this machine.

    One scene is predicted to see how long that takes: each training scene is in as many validation rounds as the recipe
    has, and each test scene is scored once.
    """
    # Imported late: torch takes seconds, and steps are counted without it.
    from parking.learning.network import build_network
    from parking.learning.predict import predict

    scene = sorted(train, key=lambda sample: sample.mask.size)[len(train) // 2]
    network = build_network(recipe.model_copy(update={"encoder_weights": "none"})).eval()
    start = time.perf_counter()
    predict(network, recipe, scene.pixels)
    pixels = recipe.evaluations * sum(sample.mask.size for sample in train) + sum(sample.mask.size for sample in test)
    return ALLOWANCE_SECONDS + (time.perf_counter() - start) * pixels / scene.mask.size


def steps_within(minutes: float, fits: int, seconds_per_step: float, *, before: int = 0, besides: float = 0.0) -> int:
    """Steps for each of `fits` trainings that together take about `minutes`, and never fewer than a few.

    A machine that is busy when its pace is measured must not fail the night's retrain: where the time does not do
    for the fewest steps, they are taken all the same, and a warning says how long that takes.

    Args:
        minutes: time for all of them.
        fits: trainings that share it.
        seconds_per_step: as measured on this machine.
        before: steps that are made once, for all of them: on generated scenes.
        besides: seconds that are no steps: validation, export, pictures.
    """
    steps = int(((minutes * 60 - besides) / seconds_per_step - before) / fits)
    if steps < LEAST_STEPS:
        need = ((LEAST_STEPS * fits + before) * seconds_per_step + besides) / 60
        logger.warning(
            "{:g} minutes are too few for {} trainings on this machine: with {} steps each they take {:.1f} minutes. "
            "Give more time, or ask for fewer trials or folds.",
            minutes,
            fits,
            LEAST_STEPS,
            need,
        )
    return max(LEAST_STEPS, steps)


def serving_speed(recipe: Recipe, flips: bool = False, threads: int = 2) -> float:
    """Megapixels per second through the detector that serves, on `threads` CPU threads; weights do not matter.

    Args:
        recipe: whose network to build, untrained.
        flips: whether scenes are predicted in all eight orientations.
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
        detector.read(scene, tta=flips)
        times.append(time.perf_counter() - start)
    return _SIDE * _SIDE / 1e6 / median(times)
