"""Minutes become steps, and what does not fit into them is refused."""

from collections.abc import Callable

import pytest

from parking.errors import TrainingError
from parking.learning.budget import (
    LEAST_STEPS,
    Budget,
    checked_before,
    fitting,
    last_fit,
    stop_in_time,
    trial_steps,
    tuning_minutes,
)
from parking.learning.timing import ALLOWANCE_SECONDS, Costs
from tests.parking.learning.scenes import TINY

COSTS = Costs(step=0.5, folds=20.0, rules=6.0, test=4.0)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def budget(minutes: float) -> Budget:
    return Budget.of(minutes, clock=Hands())


def test_a_training_with_everything_around_it_takes_the_time_that_was_given() -> None:
    recipe = fitting(TINY, COSTS, budget(5), folds=3)
    assert COSTS.training(recipe.steps, folds=3) == pytest.approx(300, rel=0.02)


def test_what_was_spent_before_the_steps_are_chosen_counts() -> None:
    hands = Hands()
    late = Budget.of(5, clock=hands)
    hands.now += 100
    recipe = fitting(TINY, COSTS, late, folds=3)
    assert COSTS.training(recipe.steps, folds=3) == pytest.approx(200, rel=0.02)


def test_a_search_with_its_finals_takes_the_time_that_was_given() -> None:
    full = TINY.model_copy(update={"steps": 100})
    steps = trial_steps(full, COSTS, budget(30), trials=4, folds=2, finals=1)
    finals = 2 * COSTS.trial(100, folds=2)
    assert 4 * COSTS.trial(steps, folds=2) + finals + ALLOWANCE_SECONDS == pytest.approx(1800, rel=0.02)


def test_what_all_trials_begin_with_takes_its_time_once() -> None:
    pretrained = TINY.model_copy(update={"pretrain_scenes": 10, "pretrain_steps": 80})
    without, with_it = (trial_steps(recipe, COSTS, budget(10), trials=2, folds=2) for recipe in (TINY, pretrained))
    assert without - with_it == 80 // 4


@pytest.mark.parametrize(
    "begin",
    [
        lambda time: fitting(TINY, COSTS, time, folds=3),
        lambda time: trial_steps(TINY, COSTS, time, trials=3, folds=2),
        lambda time: tuning_minutes(TINY, COSTS, time, trials=1, folds=2, gate=True),
    ],
)
def test_too_little_time_is_refused_with_the_least_that_would_do(begin: Callable[[Budget], object]) -> None:
    with pytest.raises(TrainingError, match=r"0\.5 minutes are too few for .* at least ([\d.]+) are needed") as refused:
        begin(budget(0.5))
    least = float(str(refused.value).split("at least ")[1].split()[0])
    begin(budget(least))


def test_work_that_was_checked_as_a_whole_is_shortened_and_not_refused_in_its_middle() -> None:
    with checked_before():
        assert fitting(TINY, COSTS, budget(0.5), folds=3).steps == LEAST_STEPS


def test_a_retrain_shares_its_time_so_that_both_parts_fit() -> None:
    for minutes in (4, 10, 100):
        searching = tuning_minutes(TINY, COSTS, budget(minutes), trials=2, folds=2, gate=True)
        assert trial_steps(TINY, COSTS, budget(searching), trials=2, folds=2) >= LEAST_STEPS
        assert fitting(TINY, COSTS, budget(minutes - searching), folds=2).steps >= LEAST_STEPS
    assert tuning_minutes(TINY, COSTS, budget(100), trials=0, folds=2, gate=True) == 0


def test_the_last_fit_takes_what_the_folds_have_left() -> None:
    hands = Hands()
    time, recipe = Budget.of(5, clock=hands), TINY.model_copy(update={"steps": 100})
    hands.now += 300 - COSTS.after_last_fit - 60
    assert last_fit(recipe, COSTS, time).steps == 120
    hands.now += 60
    assert last_fit(recipe, COSTS, time).steps == 50, "far fewer would not fit the thresholds of the folds"
    hands.now -= 250
    assert last_fit(recipe, COSTS, time).steps == 200


def test_pretraining_that_would_take_most_of_the_time_is_left_out() -> None:
    long = TINY.model_copy(update={"pretrain_scenes": 10, "pretrain_steps": 100})
    assert fitting(long, COSTS, budget(10), folds=3).pretrain_steps == 100
    short = fitting(long, COSTS, budget(2.5), folds=3)
    assert (short.pretrain_steps, short.pretrain_scenes) == (0, 0)


def test_a_trial_whose_other_folds_would_take_too_long_ends_if_the_search_can_do_without_it() -> None:
    def after_one_slow_fold(*, may_stop: bool, prunes: bool = False, minutes: float = 2) -> bool:
        hands = Hands()
        goes_on = stop_in_time(lambda *_: not prunes, Budget.of(minutes, clock=hands), 3, lambda: may_stop)
        hands.now += 60
        return goes_on(0, 0.5)

    assert not after_one_slow_fold(may_stop=True)
    assert after_one_slow_fold(may_stop=False)
    assert after_one_slow_fold(may_stop=True, minutes=3)
    assert not after_one_slow_fold(may_stop=False, prunes=True)


def test_a_little_over_the_budget_is_allowed_and_much_is_not() -> None:
    assert budget(10).allows(640)
    assert not budget(10).allows(700)
