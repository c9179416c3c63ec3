"""From samples to a model file that can be registered: threshold, calibration, fit, export, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from torch import nn

from parking.detection.contract import Contract
from parking.detection.golden import SIDE, encode_tile
from parking.learning.crossval import CrossValidation, cross_validate
from parking.learning.evaluate import SceneCounts, Scores, evaluate_model, scene_counts
from parking.learning.export import export_onnx, golden_grid
from parking.learning.known_scenes import learnt_from
from parking.learning.recipe import Recipe
from parking.learning.scene_embedding import EmbeddingHeads, fit_heads, scene_features
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.state import Record
from parking.learning.train import Fit, fit
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

__all__ = ["Release", "build_version", "with_golden_tile"]

_GOLDEN_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A model file and everything measured on the way to it."""

    recipe: Recipe
    model: Path
    """The exported file."""

    contract: Contract
    fold_scores: tuple[Scores, ...]
    test_scores: Scores
    """Of the exported file, through the detector that serves it."""

    test_counts: tuple[SceneCounts, ...]
    """The same, scene by scene, for the gate."""

    predictions: tuple[ScenePrediction, ...]
    """Out-of-fold, one for each training scene."""

    test_predictions: tuple[ScenePrediction, ...]
    history: list[Record]
    """Of the final fit."""

    @property
    def threshold(self) -> float:
        """Probability from which a pixel is free."""
        return self.contract.threshold


def build_version(
    recipe: Recipe,
    samples_train: Sequence[Sample],
    samples_test: Sequence[Sample],
    *,
    folds: int,
    dataset_version: str,
    workdir: Path,
    progress: Progress = silent,
    cross_validation: CrossValidation | None = None,
    choose_last: Callable[[], Recipe] | None = None,
) -> Release:
    """Make a model of a recipe, and measure it.

    Threshold and calibration of the count come from out-of-fold predictions; the network is then trained on every
    training scene, exported, and the file scored on the test scenes, which choose nothing.

    Args:
        recipe: what to train.
        samples_train: scenes to learn from.
        samples_test: frozen scenes to measure on; with none the test scores say `scenes=0`.
        folds: of the cross-validation.
        dataset_version: snapshot that the scenes are of.
        workdir: folder for checkpoints and the file; a run that was killed goes on from it.
        progress: called after every step and scene.
        cross_validation: of this recipe and these scenes, if it was made already.
        choose_last: called after the folds; gives the recipe of the fit on every scene, which may have other steps.

    Raises:
        DatasetError: too few scenes for so many folds.
        TrainingError: training cannot start or go on, or the exported file is not the network.
    """
    # Imported late: see `parking.learning.training_scenes`.
    from parking.detection.detector import Detector

    validated = cross_validation or cross_validate(
        recipe, samples_train, folds, checkpoint_dir=workdir / "checkpoints", progress=progress
    )
    recipe = choose_last() if choose_last else recipe
    fitted = fit(recipe, samples_train, checkpoint=_checkpoint(recipe, workdir), progress=progress)
    contract = _contract(recipe, validated, fitted, dataset_version).model_copy(
        update={"learnt_from": learnt_from(samples_train)}
    )
    heads = fit_heads(recipe, samples_train)
    model = export_onnx(fitted.network, recipe, workdir / "model.onnx", contract, heads)
    test_scores, test_predictions = evaluate_model(Detector.load(model), samples_test, progress)
    return Release(
        recipe=recipe,
        model=model,
        contract=contract,
        fold_scores=validated.fold_scores,
        test_scores=test_scores,
        test_counts=tuple(scene_counts(test_predictions, contract.threshold)),
        predictions=_with_embeddings(validated.predictions, recipe, heads),
        test_predictions=tuple(test_predictions),
        history=fitted.history,
    )


def _with_embeddings(
    predictions: Sequence[ScenePrediction], recipe: Recipe, heads: EmbeddingHeads | None
) -> tuple[ScenePrediction, ...]:
    """The predictions with the embedding that the exported file gives of their scenes."""
    features = scene_features(recipe, [prediction.sample for prediction in predictions]) if heads else None
    if heads is None or features is None:
        return tuple(predictions)
    embeddings = heads.components(features).tolist()
    return tuple(replace(p, embedding=tuple(e)) for p, e in zip(predictions, embeddings, strict=True))


def _checkpoint(recipe: Recipe, workdir: Path) -> Path:
    return workdir / "checkpoints" / f"{recipe.fingerprint()}-all.pt"


def _contract(recipe: Recipe, validated: CrossValidation, fitted: Fit, dataset_version: str) -> Contract:
    measured = {"dataset_version": dataset_version, "scores": _mean_scores(validated.fold_scores)}
    return with_golden_tile(validated.contract.model_copy(update=measured), fitted.network, recipe)


def with_golden_tile(contract: Contract, network: nn.Module, recipe: Recipe) -> Contract:
    """The contract with an image to try the model on, and what the network answers to it."""
    tile = _golden_tile()
    return contract.model_copy(
        update={"golden_tile": encode_tile(tile), "golden_grid": golden_grid(network, recipe, tile)}
    )


def _mean_scores(folds: Sequence[Scores]) -> dict[str, float]:
    """Means over the folds, under names that say so."""
    means = {}
    for name in Scores.model_fields:
        measured = [value for scores in folds if (value := getattr(scores, name)) is not None]
        if measured and name != "scenes":
            means[f"fold_{name}"] = round(fmean(measured), 4)
    return means


def _golden_tile() -> NDArray[np.uint8]:
    # Imported late: the generator is needed nowhere else in training.
    from parking.data.synthetic import generate_scene

    return np.ascontiguousarray(generate_scene(_GOLDEN_SEED, SIDE).raster.pixels)
