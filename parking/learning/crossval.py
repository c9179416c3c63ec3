"""Cross-validation: every training scene is predicted by a network that has not seen it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parking.detection.contract import Contract
from parking.detection.scale import sure_vehicles, usual_length
from parking.learning.bay_calibration import calibrate_bays
from parking.learning.checkpoint import identity
from parking.learning.evaluate import Scores, calibrate_count, score
from parking.learning.metrics import Histogram, iou
from parking.learning.oof_cache import coarse, load_maps, save_maps
from parking.learning.place_calibration import calibrate_places, place_evidence
from parking.learning.predict import detector_of
from parking.learning.recipe import Recipe
from parking.learning.rules import choose_instance_rules, choose_threshold, draft_contract
from parking.learning.scene_embedding import fit_heads
from parking.learning.scene_prediction import (
    ScenePrediction,
    histogram_of,
    predict_scene,
    scene_histogram,
    seen_places,
    seen_vehicles,
    whole_maps,
)
from parking.learning.train import fit
from parking.learning.training_scenes import KINDS, Kind, Sample
from parking.progress import Progress, silent

__all__ = ["CrossValidation", "calibrated", "cross_validate", "ious_apart", "judge", "run_folds"]

OnFold = Callable[[int, Scores], bool]
"""Called as `on_fold(index, scores)` after each fold; False stops the rest."""

Teachers = Callable[[Sequence[Sample]], Sequence[Sample]]
"""Which of a fold's training scenes teach; the scenes that it is scored on stay all."""

Part = Sequence[ScenePrediction]
"""The predictions of one fold."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """What the folds gave."""

    fold_scores: tuple[Scores, ...]
    """One per fold, with thresholds and calibration chosen by the other folds."""

    parts: tuple[tuple[ScenePrediction, ...], ...]
    """Out-of-fold predictions by fold, one per scene, in half precision."""

    contracts: tuple[Contract, ...]
    """One per fold, with thresholds and calibration chosen by the other folds."""

    contract: Contract
    """With thresholds and calibration chosen by all folds; it has no golden tile yet."""

    @property
    def predictions(self) -> tuple[ScenePrediction, ...]:
        """Out-of-fold predictions, one per scene."""
        return tuple(prediction for part in self.parts for prediction in part)


def _go_on(fold: int, scores: Scores) -> bool:
    return True


def _all_teach(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples


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

    Args and errors: as of `run_folds`.
    """
    parts = run_folds(recipe, samples, folds, on_fold=on_fold, checkpoint_dir=checkpoint_dir, progress=progress)
    return judge(parts, recipe)


def run_folds(
    recipe: Recipe,
    samples: Sequence[Sample],
    folds: int,
    *,
    on_fold: OnFold = _go_on,
    checkpoint_dir: Path | None = None,
    teachers: Teachers = _all_teach,
    progress: Progress = silent,
) -> list[list[ScenePrediction]]:
    """Predict every scene by a network that has learnt from the other folds.

    Args:
        recipe: to try.
        samples: training scenes, all of them.
        folds: how many.
        on_fold: called with the scores of each fold as it ends, with the threshold best for the folds so far.
        checkpoint_dir: where fits and the maps of finished folds are kept; a run that was killed goes on from them.
        teachers: which scenes teach, given those that may.
        progress: called after every step, counted over all folds.

    Returns:
        The predictions of each fold; fewer folds where `on_fold` stopped them.

    Raises:
        DatasetError: too few scenes for so many folds.
        TrainingError: training cannot start or go on.
    """
    contract = draft_contract(recipe)
    parts: list[list[ScenePrediction]] = []
    for index, (train, validation) in enumerate(_split(samples, folds)):
        path = checkpoint_dir / f"{recipe.fingerprint()}-fold{index}of{folds}" if checkpoint_dir else None
        counted = _counting_on(progress, index, folds)
        parts.append(_predict_fold(recipe, teachers(train), validation, path, counted))
        threshold = _threshold([prediction for part in parts for prediction in part])
        if not on_fold(index, score(parts[-1], contract.model_copy(update={"threshold": threshold}))):
            break
    return parts


def ious_apart(parts: Sequence[Part]) -> tuple[float, ...]:
    """IoU of each fold at the threshold that the other folds choose; a fold that is alone chooses its own."""
    histograms = [histogram_of(_judging(part)) for part in parts]
    ious = []
    for own in histograms:
        others = [other for other in histograms if other is not own] or [own]
        threshold, _ = sum(others, start=Histogram.empty()).best_threshold()
        ious.append(iou(own.counts(threshold)))
    return tuple(ious)


def judge(parts: Sequence[Part], recipe: Recipe, kinds: Collection[Kind] = KINDS) -> CrossValidation:
    """Score predictions fold by fold, each with thresholds and calibration chosen by the other folds.

    Args:
        parts: out-of-fold predictions of each fold.
        recipe: that made them.
        kinds: of the scenes that choose.
    """
    draft = draft_contract(recipe)
    choosing = [[prediction for prediction in part if prediction.kind in kinds] for part in parts]
    contracts = []
    for index, own in enumerate(choosing):
        others = [prediction for n, other in enumerate(choosing) if n != index for prediction in other]
        contracts.append(calibrated(draft, others or own))
    everything = [prediction for part in choosing for prediction in part]
    return CrossValidation(
        tuple(score(part, contract) for part, contract in zip(parts, contracts, strict=True)),
        tuple(map(tuple, parts)),
        tuple(contracts),
        calibrated(draft, everything),
    )


def calibrated(contract: Contract, predictions: Sequence[ScenePrediction]) -> Contract:
    """A contract with thresholds and calibrations from out-of-fold predictions.

    Args:
        contract: of which nothing was measured yet.
        predictions: of scenes that the networks have not seen.
    """
    judging = _judging(predictions)
    changes: dict[str, object] = {"threshold": _threshold(judging)}
    if contract.bays and judging:
        changes["bays"] = choose_instance_rules([seen_places(p) for p in judging], contract.bays, contract.gsd)
    driven = [p for p in predictions if "vehicle" in p.sample.scene.annotated]
    if contract.vehicles and driven:
        changes["vehicles"] = choose_instance_rules([seen_vehicles(p) for p in driven], contract.vehicles, contract.gsd)
        changes["known_bays"] = calibrate_bays(judging)
    contract = contract.model_copy(update=changes)
    if contract.vehicles:
        contract = contract.model_copy(update={"vehicle_length_m": _vehicle_length(predictions, contract)})
    contract = contract.model_copy(
        update={"place": calibrate_places([place_evidence(prediction, contract) for prediction in judging])}
    )
    return contract.model_copy(update={"count": calibrate_count(judging, contract)})


def _threshold(predictions: Part) -> float:
    return choose_threshold([(p.kind, scene_histogram(p)) for p in _judging(predictions)])


def _judging(predictions: Part) -> list[ScenePrediction]:
    return [prediction for prediction in predictions if prediction.sample.judges]


def _vehicle_length(predictions: Part, contract: Contract) -> float | None:
    """Length in metres of the usual vehicle as it is seen, by what the annotation says of the resolution."""
    lengths = []
    for prediction in predictions:
        seen = usual_length(sure_vehicles(whole_maps(prediction), contract))
        if seen is not None:
            across, _ = prediction.ratio
            lengths.append(seen * across * prediction.sample.zoom * contract.gsd)
    return round(float(np.median(lengths)), 3) if lengths else contract.vehicle_length_m


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
    progress: Progress,
) -> list[ScenePrediction]:
    belongs_to = identity(recipe, train, validation)
    seen_as = f"tile{recipe.tile}-{recipe.overlap}"
    maps_path = kept.with_name(f"{kept.name}-{seen_as}.npz") if kept else None
    predictions = load_maps(maps_path, belongs_to, validation) if maps_path else None
    if predictions is None:
        checkpoint = kept.with_name(f"{kept.name}.pt") if kept else None
        fitted = fit(recipe, train, validation, checkpoint=checkpoint, progress=progress)
        detector = detector_of(fitted.network, recipe, fit_heads(recipe, train))
        predictions = [coarse(predict_scene(detector, sample)) for sample in validation]
        if maps_path:
            save_maps(maps_path, belongs_to, predictions)
    return predictions


def _counting_on(progress: Progress, fold: int, folds: int) -> Progress:
    def told(done: int, total: int, what: str) -> None:
        progress(fold * total + done, folds * total, f"fold {fold + 1} of {folds}: {what}")

    return told
