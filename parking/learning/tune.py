"""The trials of a search: recipes that are cross-validated, in any process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from loguru import logger

from parking.errors import TrainingError
from parking.learning.crossval import ious_apart, run_folds
from parking.learning.evaluate import Scores
from parking.learning.study import Trial, TrialResult
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

__all__ = ["run_trial"]


def run_trial(
    trial: Trial,
    samples: Sequence[Sample],
    folds: int,
    *,
    goes_on: Callable[[int, float], bool] | None = None,
    on_fold: Callable[[int, Scores], None] | None = None,
    checkpoint_dir: Path | None = None,
    progress: Progress = silent,
) -> TrialResult:
    """Cross-validate a trial's recipe. It does not record the result in the study.

    Args:
        trial: the settings.
        samples: training scenes.
        folds: of the cross-validation.
        goes_on: asked after each fold, as `Study.pruning` is; without it every fold is run.
        on_fold: called with the scores of each fold.
        checkpoint_dir: see `run_folds`.
        progress: called after every step.
    """
    ious: list[float] = []

    def told(fold: int, scores: Scores) -> bool:
        ious.append(scores.iou)
        if on_fold is not None:
            on_fold(fold, scores)
        return goes_on is None or goes_on(fold, fmean(ious))

    try:
        # Not the whole of `cross_validate`: a trial needs no cuts and no calibration.
        parts = run_folds(trial.recipe, samples, folds, on_fold=told, checkpoint_dir=checkpoint_dir, progress=progress)
    except (TrainingError, ValueError, RuntimeError) as error:
        # The libraries' own too, such as a GPU out of memory: one trial's settings must not end the search.
        logger.opt(exception=error).debug("Trial {} failed.", trial.number)
        return TrialResult(trial.number, "failed", (), str(error))
    return TrialResult(trial.number, "complete" if len(parts) == folds else "pruned", ious_apart(parts))
