"""A search for settings: an Optuna study in a database, led by one process while its trials run in any."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import optuna
from loguru import logger
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from parking.errors import TrainingError
from parking.learning.recipe import Recipe
from parking.learning.space import changed, suggest, within_ranges

__all__ = ["Final", "FinishedTrial", "Study", "Trial", "TrialOutcome", "TrialResult", "find_study", "open_study"]

TrialOutcome = Literal["complete", "pruned", "failed"]

_RETRIED = "retry_history"
"""Where Optuna notes, in a trial, which earlier ones it is tried in place of."""
_INTERRUPTED = "interrupted"
"""How earlier releases noted the same, in the trial that was given up."""
_STEPS = "steps"
_IOUS = "ious"
_START = "start"
_FINAL = "final-"
_FEWEST_TO_WEIGH = 25
"""Trials below which nothing is said of what mattered."""
_STATES: dict[TrialOutcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings to try."""

    number: int
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What came of a trial."""

    number: int
    outcome: TrialOutcome
    fold_ious: tuple[float, ...]
    """IoU of each fold that ran, at the threshold that the other folds choose; empty where the training failed."""

    reason: str = ""
    """Why it failed."""

    @property
    def iou(self) -> float | None:
        """Mean over the folds that ran; none where the training failed."""
        return fmean(self.fold_ious) if self.fold_ious else None


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """A trial that ended, as the study has recorded it."""

    number: int
    outcome: TrialOutcome
    fold_ious: tuple[float, ...]
    """IoU of each fold that ran."""

    params: dict[str, Any]
    """What it chose, by name."""

    first_iou: float | None = None
    """IoU of the first fold at its own best threshold: the measure that complete and stopped trials have in common."""

    is_start: bool = False
    """Whether these are the settings that the search began with."""

    @property
    def complete(self) -> bool:
        """Whether every fold ran."""
        return self.outcome == "complete"

    @property
    def iou(self) -> float | None:
        """Mean over the folds that ran; none where none did."""
        return fmean(self.fold_ious) if self.fold_ious else None


@dataclass(frozen=True, slots=True)
class Final:
    """A trial's settings, tried again for all the steps of the recipe."""

    number: int
    """Of the trial."""

    steps: int
    fold_ious: tuple[float, ...]
    """Empty where the training failed."""

    @property
    def iou(self) -> float:
        """Mean over the folds; less than any where the training failed."""
        return fmean(self.fold_ious) if self.fold_ious else -1.0


class Study:
    """A search by one process; its trials may run in others."""

    def __init__(self, study: optuna.Study, storage: optuna.storages.BaseStorage) -> None:
        self._study, self._storage = study, storage

    @property
    def name(self) -> str:
        """What other processes find it by."""
        return self._study.study_name

    @property
    def finished(self) -> int:
        """Trials that ended: complete, pruned or failed, in this run or an earlier one."""
        return len(self.tried())

    @property
    def has_best(self) -> bool:
        """Whether a trial was completed."""
        return any(one.complete for one in self.tried())

    @property
    def steps(self) -> int:
        """Steps of each fold of a trial; 0 before they are fixed."""
        return int(self._study.user_attrs.get(_STEPS, 0))

    def tried(self) -> tuple[FinishedTrial, ...]:
        """The trials that ended, in this run or an earlier one, oldest first; not those that were interrupted."""
        outcomes = {state: outcome for outcome, state in _STATES.items()}
        trials = self._study.get_trials(deepcopy=False)
        retried = {number for trial in trials for number in trial.system_attrs.get(_RETRIED, ())}
        ended = [
            trial
            for trial in trials
            if trial.state in outcomes and trial.number not in retried and not trial.user_attrs.get(_INTERRUPTED)
        ]
        return tuple(
            FinishedTrial(
                number=trial.number,
                outcome=outcomes[trial.state],
                fold_ious=tuple(trial.user_attrs.get(_IOUS, ())),
                params=dict(trial.params),
                first_iou=trial.intermediate_values.get(0),
                is_start=bool(trial.user_attrs.get(_START)),
            )
            for trial in ended
        )

    def importances(self) -> dict[str, float]:
        """Share of the differences between trials that each setting explains, the largest first.

        Of the differences in `FinishedTrial.first_iou`, by fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014). Trials
        that were stopped count too: without them what makes a trial bad would seem not to matter. Empty where there
        are too few to say, or all alike.
        """
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        began = [one for one in self._study.get_trials(deepcopy=False, states=states) if 0 in one.intermediate_values]
        if len({one.intermediate_values[0] for one in began}) < _FEWEST_TO_WEIGH:
            return {}
        # Optuna weighs complete trials alone, so these are made such.
        firsts = optuna.create_study()
        firsts.add_trials(
            optuna.create_trial(params=one.params, distributions=one.distributions, value=one.intermediate_values[0])
            for one in began
        )
        return optuna.importance.get_param_importances(
            firsts, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )

    @property
    def best_score(self) -> float:
        """Mean IoU of the best trial.

        Raises:
            TrainingError: no trial was completed.
        """
        return float(self._best().values[0])

    def finals(self) -> tuple[Final, ...]:
        """The finals that were run, in this run or an earlier one, best first."""
        noted = [value for name, value in self._study.user_attrs.items() if name.startswith(_FINAL)]
        finals = (Final(one["number"], one["steps"], tuple(one["ious"])) for one in noted)
        return tuple(sorted(finals, key=lambda final: final.iou, reverse=True))

    def finalists(self, base: Recipe, count: int) -> tuple[Trial, ...]:
        """The best trials, and the settings that the search began with, for all the steps of the base.

        Short trials favour what learns fast: whether that lasts, only a full length tells.

        Args:
            base: as the search was asked for.
            count: how many of the best; those that have run their final are left out of what is returned.
        """
        tried = self.tried()
        best = sorted((one for one in tried if one.complete), key=lambda one: one.iou or 0.0, reverse=True)[:count]
        chosen = {one.number: one for one in (*(one for one in tried if one.is_start), *best)}
        for final in self.finals():
            if final.fold_ious:
                chosen.pop(final.number, None)
        return tuple(Trial(number, changed(base, one.params)) for number, one in chosen.items())

    def tell_final(self, result: TrialResult, steps: int) -> None:
        """Note what came of a final."""
        # A key for each: finals that end at once in two processes would overwrite a common one.
        noted = {"number": result.number, "steps": steps, "ious": result.fold_ious}
        self._study.set_user_attr(f"{_FINAL}{result.number}", noted)
        if result.reason:
            logger.warning("The final of trial {} failed: {}", result.number, result.reason)

    def fix_steps(self, base: Recipe, steps: int) -> Recipe:
        """The base with the steps of this study's trials: those of its first run, so that all can be compared."""
        if _STEPS not in self._study.user_attrs:
            self._study.set_user_attr(_STEPS, steps)
        return changed(base, {"steps": self._study.user_attrs[_STEPS]})

    def ask(self, base: Recipe) -> Trial:
        """The next settings to try; the first are the base's own, or the nearest that the search space has."""
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(within_ranges(base), user_attrs={_START: True})
        trial = self._study.ask()
        return Trial(trial.number, suggest(trial, base))

    def tell(self, result: TrialResult) -> None:
        """Note what came of a trial; safe to do in the process that ran it."""
        self._running(result.number).set_user_attr(_IOUS, result.fold_ious)
        value = result.iou if result.outcome == "complete" else None
        self._study.tell(result.number, value, state=_STATES[result.outcome])
        if result.reason:
            logger.warning("Trial {} failed: {}", result.number, result.reason)

    def pruning(self, number: int) -> Callable[[int, float], bool]:
        """Told `(fold, mean IoU so far)`, notes it, and says whether the trial is to go on: not if others are ahead."""
        trial = self._running(number)

        def goes_on(fold: int, mean: float) -> bool:
            trial.report(mean, fold)
            return not trial.should_prune()

        return goes_on

    def _running(self, number: int) -> optuna.Trial:
        """A trial that may have been asked for in another process."""
        study = self._storage.get_study_id_from_name(self.name)
        return optuna.Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number))

    def best_recipe(self, base: Recipe, *, by_finals: bool = False) -> Recipe:
        """The base with the choices of the best trial.

        Args:
            base: as the search was asked for.
            by_finals: whether the best final names it, where one ran to its end.

        Raises:
            TrainingError: no trial was completed.
        """
        best = next(iter(self.finals()), None)
        if by_finals and best is not None and best.fold_ious:
            return changed(base, _find(self._study, best.number).params)
        return changed(base, self._best().params)

    def _best(self) -> FrozenTrial:
        try:
            return self._study.best_trial
        except ValueError as error:
            raise TrainingError(
                f"No trial of the study {self.name} was completed: see why each failed in the log, and ask for more."
            ) from error


def find_study(url: str, name: str) -> Study:
    """An existing study, to read it or to record a result, whichever process leads it.

    Args:
        url: SQLAlchemy URL of the studies' database.
        name: of the study.

    Raises:
        TrainingError: the database cannot be opened, or has no such study.
    """
    storage = _storage(url)
    try:
        return Study(optuna.load_study(storage=storage, study_name=name, pruner=_pruner()), storage)
    except KeyError as error:
        raise TrainingError(f"There is no study {name}: make the search first, with `parking tune`.") from error


def open_study(url: str, name: str, *, seed: int = 0) -> Study:
    """Begin a study, or go on with it, to lead it: nobody else may at the same time.

    Trials that a killed run left behind are marked as failed, and their settings put first in the queue.

    Args:
        url: SQLAlchemy URL of the studies' database.
        name: of the study.
        seed: of the sampler.

    Raises:
        TrainingError: the database cannot be opened.
    """
    storage = _storage(url)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=_pruner(), load_if_exists=True
    )
    # Another seed for each start: the sampler would otherwise suggest its first settings again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.get_trials(deepcopy=False)))
    _retry_interrupted(study)
    return Study(study, storage)


def _pruner() -> optuna.pruners.BasePruner:
    """Stops a trial whose best mean so far is under the median of those that the trials before it had by then."""
    return optuna.pruners.MedianPruner(n_startup_trials=3, n_min_trials=3)


def _storage(url: str) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Several trials write to one SQLite file: wait for the other's lock.
    arguments = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"The studies' database {url.rpartition('@')[2]} cannot be opened ({reason}): correct PARKING_STUDY_URL."
        ) from error


def _retry_interrupted(study: optuna.Study) -> None:
    """Put trials back in the queue that nobody runs any more: who leads the study knows, without a heartbeat."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        retry = RetryHeartbeatStaleTrialCallback()
    for trial in study.get_trials(deepcopy=True, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        retry(study, trial)
        logger.info("Trial {} of the study {} was interrupted and is tried again.", trial.number, study.study_name)


def _find(study: optuna.Study, number: int) -> FrozenTrial:
    return next(trial for trial in study.get_trials(deepcopy=False) if trial.number == number)
