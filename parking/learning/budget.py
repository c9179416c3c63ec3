"""How many steps fit into a time: what a person gives is minutes, what a recipe wants is steps."""

from parking.errors import TrainingError

LEAST_STEPS = 4


def steps_within(minutes: float, fits: int, seconds_per_step: float) -> int:
    """Steps for each of `fits` trainings that together take about `minutes`.

    Args:
        minutes: time for all of them.
        fits: trainings that share it.
        seconds_per_step: as measured on this machine.

    Raises:
        TrainingError: not even a few steps fit.
    """
    steps = int(minutes * 60 / fits / seconds_per_step)
    if steps < LEAST_STEPS:
        need = LEAST_STEPS * fits * seconds_per_step / 60
        raise TrainingError(
            f"{minutes:g} minutes are too few for {fits} trainings on this machine: "
            f"give at least {need:.1f} minutes, or ask for fewer trials or folds."
        )
    return steps
