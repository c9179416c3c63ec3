"""Time budgets: the number of steps that fit beside everything else, and refusal of work that does not fit."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import NoReturn

from loguru import logger

from parking.errors import TrainingError
from parking.learning.recipe import Recipe
from parking.learning.timing import ALLOWANCE_SECONDS, Costs

__all__ = [
    "LAST_FIT_RANGE",
    "LEAST_STEPS",
    "OVERRUN",
    "PRETRAINING_SHARE",
    "TUNING_SHARE",
    "Budget",
    "Clock",
    "checked_before",
    "final_seconds",
    "fitting",
    "gate_seconds",
    "last_fit",
    "searching",
    "stop_in_time",
    "trial_steps",
    "tuning_minutes",
]

LEAST_STEPS = 4
"""Fewest steps of a training that gives a usable model."""

PRETRAINING_SHARE = 0.5
"""Largest share of the time for pretraining on generated scenes; beyond it, pretraining is left out."""

TUNING_SHARE = 0.4
"""Share of a retrain's time for the trials; the rest is for training the version."""

OVERRUN = 0.1
"""Share of a budget by which a trial may exceed it."""

LAST_FIT_RANGE = (0.5, 2.0)
"""Steps of the last fit in those of the folds: thresholds of the folds do for a fit of about their length."""

Clock = Callable[[], float]
"""Seconds since the epoch, which processes on several machines share."""

_checked = ContextVar("checked", default=False)


@contextmanager
def checked_before() -> Iterator[None]:
    """Do not check budgets in the block: it is part of work that was checked as a whole, and has begun."""
    token = _checked.set(True)
    try:
        yield
    finally:
        _checked.reset(token)


@dataclass(frozen=True)
class Budget:
    """The time that a piece of work may take."""

    seconds: float
    began: float
    clock: Clock = time.time

    @classmethod
    def of(cls, minutes: float, clock: Clock = time.time) -> "Budget":
        """A budget that begins now."""
        return cls(minutes * 60, clock(), clock)

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.began

    @property
    def left(self) -> float:
        """Seconds until it ends; negative after that."""
        return self.seconds - self.spent

    def without(self, seconds: float) -> "Budget":
        """The budget less the seconds of other work."""
        return replace(self, seconds=self.seconds - seconds)

    def allows(self, seconds: float) -> bool:
        """Whether work of this duration may begin now."""
        return seconds <= self.left + OVERRUN * self.seconds

    def check(self, seconds: float, what: str) -> None:
        """Refuse work that does not fit.

        Args:
            seconds: that it takes at least.
            what: name of the work, for messages.

        Raises:
            TrainingError: it takes longer than what is left; says which budget would do.
        """
        if seconds <= self.left:
            return
        if not _checked.get():
            self.refuse(seconds, what)
        logger.warning(
            "The machine is slower than it was when the work began: {} will exceed its {:.3g} minutes.",
            what,
            self.seconds / 60,
        )

    def refuse(self, seconds: float, what: str) -> NoReturn:
        """Raises as `check` does."""
        # A tenth more, because a second run does not take exactly as long.
        least = 1.1 * (self.spent + seconds) / 60
        least = math.ceil(least) if least > 3 else math.ceil(10 * least) / 10
        raise TrainingError(
            f"{self.seconds / 60:.3g} minutes are too few for {what} on this machine: at least {least:g} are needed. "
            "Give more minutes, or ask for fewer trials or folds."
        )


def trial_steps(recipe: Recipe, costs: Costs, budget: Budget, trials: int, folds: int, finals: int = 0) -> int:
    """Steps of each fold of a trial, so that all trials and finals fit into the budget.

    Trials are counted as if they ran one after the other: side by side on one machine they share its cores.

    Args:
        recipe: of which the finals make all steps.
        costs: as measured.
        budget: of the search.
        trials: to make.
        folds: of each.
        finals: best trials that are run again at full length, beside the first.

    Raises:
        TrainingError: not even trials of a few steps fit.
    """
    fixed = recipe.pretrain_steps * costs.step + final_seconds(recipe, costs, folds, finals) + ALLOWANCE_SECONDS
    budget.check(fixed + trials * costs.trial(LEAST_STEPS, folds), searching(trials, folds, finals))
    steps = int(((budget.left - fixed) / trials - costs.trial(0, folds)) / (folds * costs.step))
    logger.info("{:.3g} minutes do for {} steps in each fold of a trial.", budget.seconds / 60, max(LEAST_STEPS, steps))
    return max(LEAST_STEPS, steps)


def final_seconds(recipe: Recipe, costs: Costs, folds: int, finals: int) -> float:
    """Seconds of the finals of a search: the best trials, and the settings that it began with, at full length."""
    return (finals + bool(finals)) * costs.trial(recipe.steps, folds)


def searching(trials: int, folds: int, finals: int = 0) -> str:
    """A search, in words."""
    extra = f" with {finals} finals" if finals else ""
    return f"{trials} trial{'s' * (trials != 1)} in {folds} folds{extra}"


def fitting(recipe: Recipe, costs: Costs, budget: Budget, folds: int) -> Recipe:
    """The recipe with as many steps as fit into a budget, and without pretraining where that would take most of it.

    Args:
        recipe: as it was asked for.
        costs: as measured.
        budget: of the training.
        folds: that are trained before the version itself.

    Raises:
        TrainingError: not even a few steps fit.
    """
    budget.check(costs.training(LEAST_STEPS, folds), f"a training in {folds} folds")
    time_for_steps = budget.left - costs.training(0, folds)
    first = recipe.pretrain_steps * costs.step
    if first and (
        first > PRETRAINING_SHARE * time_for_steps or time_for_steps - first < LEAST_STEPS * (folds + 1) * costs.step
    ):
        logger.warning(
            "Generated scenes are left out: to learn from them first takes {:.1f} of {:.3g} minutes.",
            first / 60,
            budget.seconds / 60,
        )
        recipe, first = recipe.model_copy(update={"pretrain_steps": 0, "pretrain_scenes": 0}), 0.0
    steps = max(LEAST_STEPS, int((time_for_steps - first) / costs.step / (folds + 1)))
    logger.info("{:.3g} minutes do for {} steps in each of {} fits.", budget.seconds / 60, steps, folds + 1)
    return recipe.model_copy(update={"steps": steps})


def last_fit(recipe: Recipe, costs: Costs, budget: Budget) -> Recipe:
    """The recipe of the version itself: its steps take up what the folds have left, within `LAST_FIT_RANGE`.

    Args:
        recipe: of the folds.
        costs: of the training; the step as measured after the folds.
        budget: of the training.
    """
    shortest, longest = (round(recipe.steps * share) for share in LAST_FIT_RANGE)
    steps = int((budget.left - costs.after_last_fit) / costs.step)
    return recipe.model_copy(update={"steps": max(LEAST_STEPS, shortest, min(longest, steps))})


def tuning_minutes(recipe: Recipe, costs: Costs, budget: Budget, trials: int, folds: int, *, gate: bool) -> float:
    """Minutes of a retrain that its search may take; the training and the gate have the rest.

    Args:
        recipe: to start from.
        costs: as measured.
        budget: of the retrain.
        trials: to make; none leaves everything to the training.
        folds: of trials and training.
        gate: whether the version is compared with the serving one.

    Raises:
        TrainingError: they do not fit, whatever their shares.
    """
    begin = recipe.pretrain_steps * costs.step + ALLOWANCE_SECONDS
    search = trials * costs.trial(LEAST_STEPS, folds) + (begin if trials else 0.0)
    training = costs.training(LEAST_STEPS, folds) + gate_seconds(costs) * gate
    also = f"{searching(trials, folds)} and " if trials else ""
    budget.check(search + training, f"{also}a training in {folds} folds")
    if not trials:
        return 0.0
    return max(search, min(TUNING_SHARE * budget.left, budget.left - training)) / 60


def gate_seconds(costs: Costs) -> float:
    """Seconds to score the new version and the serving one on the test scenes."""
    return 2 * costs.test


def stop_in_time(
    goes_on: Callable[[int, float], bool], budget: Budget, folds: int, may_stop: Callable[[], bool]
) -> Callable[[int, float], bool]:
    """A trial's `goes_on` that also ends a trial whose other folds would exceed the budget.

    Args:
        goes_on: see `parking.learning.tune.run_trial`; called whatever the budget says, for it notes the score.
        budget: of the search.
        folds: of the trial, which begins now.
        may_stop: whether the search can do without this trial.
    """
    began = budget.clock()

    def goes_on_in_time(fold: int, mean: float) -> bool:
        if not goes_on(fold, mean):
            return False
        rest = folds - fold - 1
        if rest == 0 or budget.allows(rest * (budget.clock() - began) / (fold + 1)) or not may_stop():
            return True
        logger.info("A trial ends after {} of {} folds: the others do not fit into the time.", fold + 1, folds)
        return False

    return goes_on_in_time
