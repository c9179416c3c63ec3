"""Checkpoints: the state of a fit on disk, from which a killed run resumes."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from parking.files import whole
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

__all__ = ["identity", "load_checkpoint", "save_checkpoint"]


def identity(recipe: Recipe, train: Sequence[Sample], validation: Sequence[Sample]) -> str:
    """A digest of the recipe and of both sets of scenes with their polygons, which identifies a checkpoint."""
    digest = hashlib.sha256(recipe.fingerprint().encode())
    for name, samples in (("train", train), ("validation", validation)):
        digest.update(name.encode())
        for sample in samples:
            drawn = (sample.rings, sample.vehicles, sample.ignored, sample.scene.annotated, sample.zoom)
            digest.update(f"{sample.name} {sample.scene.sha256} {sample.pixels.shape} {drawn}".encode())
    return digest.hexdigest()


def save_checkpoint(path: Path, belongs_to: str, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        torch.save({"belongs_to": belongs_to, **state}, unfinished)


def load_checkpoint(path: Path, belongs_to: str) -> dict[str, Any] | None:
    """The state of a checkpoint; None if there is no file, or it is damaged or of another recipe or data."""
    if not path.is_file():
        return None
    try:
        # Tensors and plain values only: a checkpoint from elsewhere cannot run code.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        logger.warning("The checkpoint {} cannot be read ({}): training starts from the beginning.", path, error)
        return None
    if state.get("belongs_to") != belongs_to:
        logger.warning("The checkpoint {} is of another recipe or dataset: training starts from the beginning.", path)
        return None
    return state
