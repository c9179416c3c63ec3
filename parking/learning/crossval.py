"""Cross-validation: every training scene is predicted by a network that has not seen it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from parking.detection.contract import PlaceCalibration
from parking.detection.spots import SpotRules
from parking.learning.bays import BaySize, choose_scale, estimate_bay, scaled, spot_rules, tally_scales
from parking.learning.checkpoint import identity
from parking.learning.confidence import Evidence, calibrate_places, place_evidence
from parking.learning.evaluate import ScenePrediction, Scores, choose_threshold, score
from parking.learning.maps import coarse, load_maps, save_maps
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
    """One a fold, at the threshold and for the bays that are best on the other folds: no fold chooses its own."""

    parts: tuple[tuple[ScenePrediction, ...], ...]
    """Out-of-fold, by fold, one a scene, in half precision."""

    bay: BaySize
    """The size of a bay that all folds together choose."""

    place: PlaceCalibration
    """How sure places are, as all folds together say."""

    complete: bool
    """Whether every fold ran."""

    @property
    def predictions(self) -> tuple[ScenePrediction, ...]:
        """Out-of-fold, one a scene."""
        return tuple(prediction for part in self.parts for prediction in part)

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
    flips: bool = False,
    progress: Progress = silent,
) -> CrossValidation:
    """Train and score a recipe on grouped, stratified folds.

    Args:
        recipe: to try.
        samples: training scenes, all of them.
        folds: how many.
        on_fold: told the scores of each fold as it ends, at the threshold best for the folds so far.
        checkpoint_dir: where fits and the maps of finished folds are kept; a run that was killed goes on from them.
        flips: whether scenes are predicted in all eight orientations, as the detector's `tta` does.
        progress: told of steps, counted over all folds.

    Raises:
        DatasetError: too few scenes for so many folds.
        TrainingError: training cannot start or go on.
    """
    bay = estimate_bay(samples, recipe)
    rules = spot_rules(recipe, bay, 0.5)
    parts: list[list[ScenePrediction]] = []
    complete = True
    for index, (train, validation) in enumerate(_split(samples, folds)):
        path = checkpoint_dir / f"{recipe.fingerprint()}-fold{index}of{folds}" if checkpoint_dir else None
        parts.append(_predict_fold(recipe, train, validation, path, flips, _counting_on(progress, index, folds)))
        threshold = choose_threshold([prediction for part in parts for prediction in part])
        complete = (
            on_fold(index, score(parts[-1], replace(rules, threshold=threshold), recipe.gsd)) or index == folds - 1
        )
        if not complete:
            break
    return judge(parts, recipe, bay, complete=complete)


def judge(
    parts: Sequence[Sequence[ScenePrediction]], recipe: Recipe, bay: BaySize, *, complete: bool = True
) -> CrossValidation:
    """Score predictions fold by fold, each with what the other folds choose.

    Args:
        parts: out-of-fold predictions of each fold.
        recipe: that made them.
        bay: the usual outline of the scenes.
        complete: whether these are all the folds.
    """
    rules = spot_rules(recipe, bay, 0.5)
    predictions = [prediction for part in parts for prediction in part]
    at_best = replace(rules, threshold=choose_threshold(predictions))
    tallies = tally_scales(predictions, at_best, recipe.gsd)
    scale = choose_scale(tallies)
    evidence = [place_evidence(prediction, scaled(at_best, scale), recipe.gsd) for prediction in predictions]
    return CrossValidation(
        fold_scores=_score_apart(parts, tallies, evidence, rules, recipe.gsd),
        parts=tuple(map(tuple, parts)),
        bay=bay.scaled(scale),
        place=calibrate_places(evidence),
        complete=complete,
    )


def _split(samples: Sequence[Sample], folds: int) -> list[tuple[list[Sample], list[Sample]]]:
    # Imported late: see `parking.learning.samples`.
    from parking.data.split import make_folds

    by_name = {sample.name: sample for sample in samples}
    return [
        ([by_name[scene.name] for scene in fold.train], [by_name[scene.name] for scene in fold.validation])
        for fold in make_folds([sample.scene for sample in samples], folds)
    ]


def _predict_fold(
    recipe: Recipe,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    kept: Path | None,
    flips: bool,
    progress: Progress,
) -> list[ScenePrediction]:
    belongs_to = identity(recipe, train, validation)
    maps_path = kept.with_name(f"{kept.name}{'-flips' if flips else ''}.npz") if kept else None
    maps = load_maps(maps_path, belongs_to) if maps_path else None
    if maps is None:
        checkpoint = kept.with_name(f"{kept.name}.pt") if kept else None
        fitted = fit(recipe, train, validation, checkpoint=checkpoint, progress=progress)
        whole = fitted.validation if not flips else ()
        maps = [coarse(p) for p in whole or (predict(fitted.network, recipe, s.pixels, flips) for s in validation)]
        if maps_path:
            save_maps(maps_path, belongs_to, maps)
    return [ScenePrediction(sample.name, p, sample) for sample, p in zip(validation, maps, strict=True)]


def _score_apart(
    parts: Sequence[Sequence[ScenePrediction]],
    tallies: NDArray[np.int64],
    evidence: Sequence[Evidence],
    rules: SpotRules,
    gsd: float,
) -> tuple[Scores, ...]:
    """Scores of each part, with threshold, size of the bays and calibration as the other parts choose them."""
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    scores = []
    for index, part in enumerate(parts):
        others = [prediction for n, other in enumerate(parts) if n != index for prediction in other]
        apart = owner != index if others else owner == index
        chosen = replace(
            scaled(rules, choose_scale(tallies[:, apart])),
            threshold=choose_threshold(others or part),
            calibration=calibrate_places([seen for seen, there in zip(evidence, apart, strict=True) if there]),
        )
        scores.append(score(part, chosen, gsd))
    return tuple(scores)


def _counting_on(progress: Progress, fold: int, folds: int) -> Progress:
    def told(done: int, total: int, what: str) -> None:
        progress(fold * total + done, folds * total, f"fold {fold + 1} of {folds}: {what}")

    return told
