"""How many steps fit into a time: what a person gives is minutes, what a recipe wants is steps."""

from loguru import logger

LEAST_STEPS = 4
"""Steps of a training that still ends in a model of some sort."""


def steps_within(minutes: float, fits: int, seconds_per_step: float, *, before: int = 0) -> int:
    """Steps for each of `fits` trainings that together take about `minutes`, and never fewer than a few.

    A machine that is busy when its pace is measured must not fail the night's retrain: where the time does not do
    for the fewest steps, they are taken all the same, and a warning says how long that takes.

    Args:
        minutes: time for all of them.
        fits: trainings that share it.
        seconds_per_step: as measured on this machine.
        before: steps that are made once, for all of them: on generated scenes.
    """
    steps = int((minutes * 60 / seconds_per_step - before) / fits)
    if steps < LEAST_STEPS:
        need = (LEAST_STEPS * fits + before) * seconds_per_step / 60
        logger.warning(
            "{:g} minutes are too few for {} trainings on this machine: {} steps each take {:.1f} minutes. "
            "Give more time, or ask for fewer trials or folds.",
            minutes,
            fits,
            LEAST_STEPS,
            need,
        )
    return max(LEAST_STEPS, steps)
