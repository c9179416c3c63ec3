"""How many steps fit into a time: what a person gives is minutes, what a recipe wants is steps."""

import time
from collections.abc import Sequence

from loguru import logger

from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

LEAST_STEPS = 4
"""Steps of a training that still ends in a model of some sort."""


PRETRAINING_SHARE = 0.5
"""Largest part of the time that learning from generated scenes may take; else it is left out."""

ALLOWANCE_SECONDS = 20.0
"""For what is neither a step nor a prediction: export, pictures, registration."""


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
