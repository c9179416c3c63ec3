"""Out-of-fold predictions on disk, so that a cross-validation that was stopped, or moved, resumes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from parking.detection.contract import MapName
from parking.detection.scale import GsdSource
from parking.files import whole
from parking.learning.scene_prediction import ScenePrediction, fitted
from parking.learning.training_scenes import Sample

__all__ = ["coarse", "load_maps", "save_maps"]

LEVELS = 255
"""Probabilities are kept in 8 bits: a finer step is far below the noise of a prediction."""


def coarse(prediction: ScenePrediction) -> ScenePrediction:
    """A prediction as it is after it was saved and loaded: probabilities in steps of 1/255."""
    maps = {name: _from_bytes(_to_bytes(values)) for name, values in _maps(prediction).items()}
    return _with_maps(prediction, maps)


def save_maps(path: Path, belongs_to: str, predictions: Sequence[ScenePrediction]) -> None:
    """Keep the predictions of a fold's scenes, in their order; the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {"belongs_to": np.array(belongs_to)}
    for number, prediction in enumerate(predictions):
        arrays |= {f"{number}:{name}": _to_bytes(values) for name, values in _maps(prediction).items()}
        numbers = (prediction.gsd or 0.0, prediction.size_px or 0.0, *prediction.embedding)
        arrays[f"{number}:numbers"] = np.array(numbers, np.float64)
        arrays[f"{number}:source"] = np.array(prediction.gsd_source)
    with whole(path) as unfinished:
        np.savez_compressed(unfinished, **arrays)  # type: ignore[arg-type]


def load_maps(path: Path, belongs_to: str, samples: Sequence[Sample]) -> list[ScenePrediction] | None:
    """The predictions that were kept; none where there is no file, or one that is damaged or of another recipe or data.

    Args:
        path: of `save_maps`.
        belongs_to: what the file must say of itself.
        samples: the scenes, in their order.
    """
    if not path.is_file():
        return None
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["belongs_to"]) != belongs_to:
                logger.warning("The maps in {} are of another recipe or dataset, and are made again.", path)
                return None
            arrays = {name: kept[name] for name in kept.files}
        return [_loaded(arrays, number, sample) for number, sample in enumerate(samples)]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        logger.warning("The maps in {} cannot be read ({}), and are made again.", path, error)
        return None


def _loaded(arrays: dict[str, NDArray[np.generic]], number: int, sample: Sample) -> ScenePrediction:
    gsd, size, *embedding = (float(value) for value in arrays[f"{number}:numbers"])
    names: tuple[MapName, ...] = ("probability", "vehicle", "free_core", "vehicle_core")
    maps = {name: _from_bytes(arrays[key]) for name in names if (key := f"{number}:{name}") in arrays}
    source: GsdSource = str(arrays[f"{number}:source"])  # type: ignore[assignment]
    empty = ScenePrediction(
        name=sample.name,
        probability=maps["probability"],
        sample=sample,
        size_px=size or None,
        embedding=tuple(embedding),
        gsd=gsd or None,
        gsd_source=source,
    )
    return _with_maps(empty, maps)


def _maps(prediction: ScenePrediction) -> dict[MapName, NDArray[np.floating]]:
    return {**prediction.maps} if prediction.maps else {"probability": prediction.probability}


def _with_maps(prediction: ScenePrediction, maps: dict[MapName, NDArray[np.float16]]) -> ScenePrediction:
    probability = fitted(maps["probability"], prediction.mask.shape).astype(np.float16)
    return replace(prediction, probability=probability, maps=maps if len(maps) > 1 else {})


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(values.astype(np.float32) * LEVELS).astype(np.uint8)


def _from_bytes(values: NDArray[np.generic]) -> NDArray[np.float16]:
    return (values.astype(np.float32) / np.float32(LEVELS)).astype(np.float16)
