"""What trials come to, said instead of trained."""

from collections.abc import Callable
from typing import Any

import pytest

from parking.learning import tune
from parking.learning.evaluate import Scores
from parking.learning.study import Study, TrialResult
from parking.learning.tune import run_trial
from tests.parking.learning.scenes import TINY


def scores(iou: float) -> Scores:
    return Scores.model_validate(dict.fromkeys(Scores.model_fields, 0) | {"iou": iou})


def complete(number: int, *ious: float) -> TrialResult:
    return TrialResult(number, "complete", ious)


def let_folds_have(monkeypatch: pytest.MonkeyPatch, *ious: float) -> None:
    """Stand in for the training of folds: they come to these scores, and stop where they are told to."""

    def run_folds(*given: Any, on_fold: Callable[[int, Scores], bool], **more: Any) -> list[float]:
        ran = []
        for fold, iou in enumerate(ious):
            ran.append(iou)
            if not on_fold(fold, scores(iou)):
                break
        return ran

    monkeypatch.setattr(tune, "run_folds", run_folds)
    monkeypatch.setattr(tune, "ious_apart", tuple)


def try_once(study: Study, monkeypatch: pytest.MonkeyPatch, *ious: float) -> TrialResult:
    """Run a trial whose folds have these scores, and tell the study."""
    trial = study.ask(TINY)
    let_folds_have(monkeypatch, *ious)
    result = run_trial(trial, [], len(ious), goes_on=study.pruning(trial.number))
    study.tell(result)
    return result
