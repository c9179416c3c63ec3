"""Cross-validation: every training scene is predicted by a network that has not seen it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from parking.detection.contract import CutChooser, PlaceCalibration
from parking.detection.spots import SpotRules
from parking.learning.bay_size import BaySize, estimate_bay, spot_rules
from parking.learning.checkpoint import identity
from parking.learning.evaluate import ScenePrediction, Scores, choose_threshold, histogram_of, score
from parking.learning.metrics import Histogram, iou
from parking.learning.oof_cache import coarse, load_maps, save_maps
from parking.learning.place_calibration import Evidence, calibrate_places, place_evidence
from parking.learning.recipe import Recipe
from parking.learning.scene_embedding import learn_size, looks_of, usual_size
from parking.learning.split_ranking import Tried, learn_cuts, try_cuts
from parking.learning.train import fit, predict
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

OnFold = Callable[[int, Scores], bool]
"""Called as `on_fold(index, scores)` after each fold; False stops the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """What the folds gave."""

    fold_scores: tuple[Scores, ...]
    """One a fold, with threshold, cuts and calibration as the other folds choose them: no fold chooses its own."""

    parts: tuple[tuple[ScenePrediction, ...], ...]
    """Out-of-fold, by fold, one a scene, in half precision."""

    bay: BaySize
    """The usual outline of single places."""

    cuts: CutChooser | None
    """How shapes are cut, as all folds together say."""

    place: PlaceCalibration
    """How sure places are, as all folds together say."""

    @property
    def predictions(self) -> tuple[ScenePrediction, ...]:
        """Out-of-fold, one a scene."""
        return tuple(prediction for part in self.parts for prediction in part)

    def rules(self, recipe: Recipe) -> SpotRules:
        """What counts as a place, as all folds together say: the rules of the contract to come."""
        usual_px = self.cuts.usual_size_m / recipe.gsd if self.cuts else 0.0
        plain = spot_rules(recipe, self.bay, choose_threshold(self.predictions))
        return replace(plain, calibration=self.place, cuts=self.cuts, usual_size_px=usual_px)


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

    Args and errors: as of `run_folds`.
    """
    parts = run_folds(
        recipe, samples, folds, on_fold=on_fold, checkpoint_dir=checkpoint_dir, flips=flips, progress=progress
    )
    return judge(parts, recipe, estimate_bay(samples, recipe))


def run_folds(
    recipe: Recipe,
    samples: Sequence[Sample],
    folds: int,
    *,
    on_fold: OnFold = _go_on,
    checkpoint_dir: Path | None = None,
    flips: bool = False,
    progress: Progress = silent,
) -> list[list[ScenePrediction]]:
    """Predict every scene by a network that has learnt from the other folds.

    Args:
        recipe: to try.
        samples: training scenes, all of them.
        folds: how many.
        on_fold: told the scores of each fold as it ends, at the threshold best for the folds so far.
        checkpoint_dir: where fits and the maps of finished folds are kept; a run that was killed goes on from them.
        flips: whether scenes are predicted in all eight orientations, as the detector's `tta` does.
        progress: told of steps, counted over all folds.

    Returns:
        The predictions of each fold; fewer folds where `on_fold` stopped them.

    Raises:
        DatasetError: too few scenes for so many folds.
        TrainingError: training cannot start or go on.
    """
    rules = spot_rules(recipe, estimate_bay(samples, recipe), 0.5)
    parts: list[list[ScenePrediction]] = []
    for index, (train, validation) in enumerate(_split(samples, folds)):
        path = checkpoint_dir / f"{recipe.fingerprint()}-fold{index}of{folds}" if checkpoint_dir else None
        parts.append(_predict_fold(recipe, train, validation, path, flips, _counting_on(progress, index, folds)))
        threshold = choose_threshold([prediction for part in parts for prediction in part])
        if not on_fold(index, score(parts[-1], replace(rules, threshold=threshold), recipe.gsd)):
            break
    return parts


def ious_apart(parts: Sequence[Sequence[ScenePrediction]]) -> tuple[float, ...]:
    """IoU of each fold at the threshold that the other folds choose; a fold that is alone chooses its own."""
    histograms = [histogram_of(part) for part in parts]
    ious = []
    for own in histograms:
        others = [other for other in histograms if other is not own] or [own]
        threshold, _ = sum(others, start=Histogram.empty()).best_threshold()
        ious.append(iou(own.counts(threshold)))
    return tuple(ious)


def judge(parts: Sequence[Sequence[ScenePrediction]], recipe: Recipe, bay: BaySize) -> CrossValidation:
    """Score predictions fold by fold, each with what the other folds choose.

    Args:
        parts: out-of-fold predictions of each fold.
        recipe: that made them.
        bay: the usual outline of the scenes.
    """
    parts = _sized(parts, recipe)
    predictions = [prediction for part in parts for prediction in part]
    usual_px = usual_size([prediction.sample for prediction in predictions])
    rules = replace(spot_rules(recipe, bay, choose_threshold(predictions)), usual_size_px=usual_px)
    tried = [try_cuts(prediction, rules) for prediction in predictions]
    cuts = learn_cuts(tried, usual_px * recipe.gsd)
    evidence = [place_evidence(prediction, replace(rules, cuts=cuts), recipe.gsd) for prediction in predictions]
    return CrossValidation(
        fold_scores=_score_apart(parts, tried, evidence, rules, recipe.gsd),
        parts=tuple(map(tuple, parts)),
        bay=bay,
        cuts=cuts,
        place=calibrate_places(evidence),
    )


def _sized(parts: Sequence[Sequence[ScenePrediction]], recipe: Recipe) -> list[list[ScenePrediction]]:
    """The predictions with the size that places have in their scene, guessed from the scenes of the other parts."""
    samples = [prediction.sample for part in parts for prediction in part]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    looks = looks_of(recipe, samples)
    sized: list[list[ScenePrediction]] = []
    for index, part in enumerate(parts):
        apart = np.flatnonzero(owner != index)
        guess = learn_size(looks[apart], [samples[n] for n in apart]) if looks is not None else None
        sizes = np.exp(guess(looks[owner == index])[:, 0]) if looks is not None and guess else [None] * len(part)
        sized.append(
            [
                replace(prediction, size_px=None if prediction.sample.scene.gsd or size is None else float(size))
                for prediction, size in zip(part, sizes, strict=True)
            ]
        )
    return sized


def _split(samples: Sequence[Sample], folds: int) -> list[tuple[list[Sample], list[Sample]]]:
    # Imported late: see `parking.learning.training_scenes`.
    from parking.data.split import make_folds

    # By the scene itself: two sources may each have a scene of one name.
    of = {id(sample.scene): sample for sample in samples}
    return [
        ([of[id(scene)] for scene in fold.train], [of[id(scene)] for scene in fold.validation])
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
    seen_as = f"tile{recipe.tile}-{recipe.overlap}{'-flips' if flips else ''}"
    maps_path = kept.with_name(f"{kept.name}-{seen_as}.npz") if kept else None
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
    tried: Sequence[Tried],
    evidence: Sequence[Evidence],
    rules: SpotRules,
    gsd: float,
) -> tuple[Scores, ...]:
    """Scores of each part, with threshold, cuts and calibration as the other parts choose them."""
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    scores = []
    for index, part in enumerate(parts):
        others = [prediction for n, other in enumerate(parts) if n != index for prediction in other]
        apart = np.flatnonzero(owner != index if others else owner == index).tolist()
        chosen = replace(
            rules,
            threshold=choose_threshold(others or part),
            cuts=learn_cuts([tried[n] for n in apart], rules.usual_size_px * gsd),
            calibration=calibrate_places([evidence[n] for n in apart]),
        )
        scores.append(score(part, chosen, gsd))
    return tuple(scores)


def _counting_on(progress: Progress, fold: int, folds: int) -> Progress:
    def told(done: int, total: int, what: str) -> None:
        progress(fold * total + done, folds * total, f"fold {fold + 1} of {folds}: {what}")

    return told
