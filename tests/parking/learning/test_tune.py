"""Trials: what they are told, and how they end."""

from pathlib import Path
from typing import Any

import pytest

from parking.errors import TrainingError
from parking.learning import tune
from parking.learning.study import Trial, find_study, open_study
from parking.learning.tune import run_trial
from tests.parking.learning.scenes import TINY
from tests.parking.learning.trials import let_folds_have, try_once


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


def test_a_trial_runs_anywhere_and_tells_the_study(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    let_folds_have(monkeypatch, 0.4, 0.6)
    leading = open_study(url, "study")
    trial = leading.ask(TINY)
    told: list[tuple[int, float]] = []
    elsewhere = find_study(url, "study")
    goes_on = elsewhere.pruning(trial.number)
    result = run_trial(trial, [], 2, goes_on=goes_on, on_fold=lambda n, s: told.append((n, s.iou)))
    assert (result.outcome, result.iou, result.fold_ious) == ("complete", 0.5, (0.4, 0.6))
    assert told == [(0, 0.4), (1, 0.6)]
    elsewhere.tell(result)
    assert leading.best_score == 0.5


def test_a_trial_is_pruned_after_a_bad_fold(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(url, "study")
    for ious in ([0.5, 0.5], [0.6, 0.6], [0.4, 0.4], [0.1, 0.9]):
        result = try_once(study, monkeypatch, *ious)
    assert (result.outcome, len(result.fold_ious)) == ("pruned", 1)
    assert study.finished == 4
    assert study.best_score == pytest.approx(0.6)


@pytest.mark.parametrize(
    "error",
    [TrainingError("The loss is no number at step 3."), ValueError("no such crop"), RuntimeError("out of memory")],
)
def test_a_trial_that_fails_says_why_and_does_not_end_the_search(
    url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*given: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(tune, "run_folds", fails)
    study = open_study(url, "study")
    result = run_trial(study.ask(TINY), [], 2)
    study.tell(result)
    assert (result.outcome, result.iou, result.reason) == ("failed", None, str(error))
    assert study.finished == 1


def test_a_final_runs_all_its_folds_however_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    let_folds_have(monkeypatch, 0.0, 0.1, 0.2)
    seen: list[int] = []
    result = run_trial(Trial(4, TINY), [], 3, on_fold=lambda fold, _: seen.append(fold))
    assert (result.number, result.outcome, seen) == (4, "complete", [0, 1, 2])
    assert result.iou == pytest.approx(0.1)
