"""Cross-validation: every training scene is predicted by a network that has not seen it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from parking.detection.spots import SpotRules
from parking.learning.bays import estimate_bay, spot_rules
from parking.learning.evaluate import ScenePrediction, Scores, choose_threshold, score
from parking.learning.recipe import Recipe
from parking.learning.samples import Sample
from parking.learning.train import fit, predict
from parking.progress import Progress, silent

OnFold = Callable[[int, Scores], bool]
"""Called as `on_fold(index, scores)` after each fold; False stops the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """What the folds gave."""

    fold_scores: tuple[Scores, ...]
    """One a fold, at the threshold that is best on the other folds: no fold chooses its own."""

    predictions: tuple[ScenePrediction, ...]
    """Out-of-fold, one a scene, in half precision."""

    complete: bool
    """Whether every fold ran."""

    @property
    def mean(self) -> float:
        """Mean IoU of the folds: what tuning maximises."""
        return fmean(scores.iou for scores in self.fold_scores)


def _go_on(fold: int, scores: Scores) -> bool:
    return True


def cross_validate(
    recipe: Recipe,
    samples: Sequence[Sample],
    folds: int,
    *,
    on_fold: OnFold = _go_on,
    checkpoint_dir: Path | None = None,
    progress: Progress = silent,
) -> CrossValidation:
    """Train and score a recipe on grouped, stratified folds.

    Args:
        recipe: to try.
        samples: training scenes, all of them.
        folds: how many.
        on_fold: told the scores of each fold as it ends, at the threshold best for the folds so far.
        checkpoint_dir: where fits keep their checkpoints; a run that was killed goes on from them.
        progress: told of steps, counted over all folds.

    Raises:
        DatasetError: too few scenes for so many folds.
        TrainingError: training cannot start or go on.
    """
    rules = spot_rules(recipe, estimate_bay(samples, recipe), 0.5)
    parts: list[list[ScenePrediction]] = []
    complete = True
    for index, (train, validation) in enumerate(_split(samples, folds)):
        path = checkpoint_dir / f"{recipe.fingerprint()}-fold{index}of{folds}.pt" if checkpoint_dir else None
        parts.append(_predict_fold(recipe, train, validation, path, _counting_on(progress, index, folds)))
        threshold = choose_threshold([prediction for part in parts for prediction in part])
        complete = on_fold(index, score(parts[-1], _at(rules, threshold), recipe.gsd)) or index == folds - 1
        if not complete:
            break
    scores = tuple(_score_apart(parts, index, rules, recipe.gsd) for index in range(len(parts)))
    return CrossValidation(scores, tuple(prediction for part in parts for prediction in part), complete)


def _split(samples: Sequence[Sample], folds: int) -> list[tuple[list[Sample], list[Sample]]]:
    # Imported late: see `parking.learning.samples`.
    from parking.data.split import make_folds

    by_name = {sample.name: sample for sample in samples}
    return [
        ([by_name[scene.name] for scene in fold.train], [by_name[scene.name] for scene in fold.validation])
        for fold in make_folds([sample.scene for sample in samples], folds)
    ]


def _predict_fold(
    recipe: Recipe, train: Sequence[Sample], validation: Sequence[Sample], checkpoint: Path | None, progress: Progress
) -> list[ScenePrediction]:
    fitted = fit(recipe, train, validation, checkpoint=checkpoint, progress=progress)
    maps = fitted.validation or [
        predict(fitted.network, recipe, sample.pixels).astype(np.float16) for sample in validation
    ]
    return [ScenePrediction(sample.name, p, sample) for sample, p in zip(validation, maps, strict=True)]


def _score_apart(parts: Sequence[Sequence[ScenePrediction]], index: int, rules: SpotRules, gsd: float) -> Scores:
    others = [prediction for n, part in enumerate(parts) if n != index for prediction in part]
    return score(parts[index], _at(rules, choose_threshold(others or parts[index])), gsd)


def _at(rules: SpotRules, threshold: float) -> SpotRules:
    return SpotRules(threshold, rules.min_area_px, rules.bay_width_px, rules.bay_length_px)


def _counting_on(progress: Progress, fold: int, folds: int) -> Progress:
    def told(done: int, total: int, what: str) -> None:
        progress(fold * total + done, folds * total, f"fold {fold + 1} of {folds}: {what}")

    return told
