"""Minutes become steps."""

from loguru import logger

from parking.learning.budget import LEAST_STEPS, steps_within


def test_trainings_share_the_time() -> None:
    assert steps_within(minutes=2, fits=4, seconds_per_step=0.5) == 60


def test_what_all_trainings_begin_with_takes_its_time_once() -> None:
    assert steps_within(minutes=2, fits=4, seconds_per_step=0.5, before=80) == 40


def test_too_little_time_trains_a_little_and_says_how_long_it_takes() -> None:
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING", format="{message}")
    try:
        assert steps_within(minutes=0.1, fits=6, seconds_per_step=2.0) == LEAST_STEPS
    finally:
        logger.remove(sink)
    assert "4 steps each take 0.8 minutes" in told[0]
