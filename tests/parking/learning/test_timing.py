"""Minutes become steps."""

from loguru import logger

from parking.learning.timing import ALLOWANCE_SECONDS, LEAST_STEPS, seconds_besides, shortened, steps_within
from tests.parking.learning.scenes import TINY, make_samples


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
    assert "with 4 steps each they take 0.8 minutes" in told[0]


def test_validation_and_export_take_their_part_of_the_time() -> None:
    assert steps_within(minutes=2, fits=4, seconds_per_step=0.5, besides=60) == 30


def test_pretraining_that_would_take_most_of_the_time_is_left_out() -> None:
    long = TINY.model_copy(update={"pretrain_scenes": 10, "pretrain_steps": 100})
    kept = shortened(long, minutes=10, fits=4, seconds_per_step=1.0, besides=100)
    assert (kept.pretrain_steps, kept.steps) == (100, 100)
    short = shortened(long, minutes=2, fits=4, seconds_per_step=1.0, besides=20)
    assert (short.pretrain_steps, short.pretrain_scenes, short.steps) == (0, 0, 25)


def test_what_is_no_step_grows_with_scenes_and_rounds() -> None:
    samples = make_samples(4)
    little = seconds_besides(TINY.model_copy(update={"evaluations": 1}), samples[:2], ())
    much = seconds_besides(TINY.model_copy(update={"evaluations": 400}), samples, samples)
    assert ALLOWANCE_SECONDS < little < much
