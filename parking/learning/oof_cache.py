"""Out-of-fold probability maps on disk, so that a cross-validation that was stopped, or moved, resumes."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from parking.files import whole

LEVELS = 255
"""Probabilities are kept in 8 bits: a finer step is far below the noise of a prediction."""

Map = NDArray[np.float16]


def coarse(probability: NDArray[np.floating]) -> Map:
    """A map as it will be after keeping it: float16 (H, W), in steps of 1/255."""
    return (np.round(probability.astype(np.float32) * LEVELS) / LEVELS).astype(np.float16)


def save_maps(path: Path, belongs_to: str, maps: Sequence[Map]) -> None:
    """Write the maps of a fold's scenes, in their order; the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {str(n): np.round(m.astype(np.float32) * LEVELS).astype(np.uint8) for n, m in enumerate(maps)}
    with whole(path) as unfinished:
        np.savez_compressed(unfinished, belongs_to=np.array(belongs_to), **arrays)  # type: ignore[arg-type]


def load_maps(path: Path, belongs_to: str) -> list[Map] | None:
    """The cached maps; none where there is no file, or one that is damaged or of another recipe or data."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["belongs_to"]) != belongs_to:
                logger.warning("The maps in {} are of another recipe or dataset, and are made again.", path)
                return None
            return [(kept[str(n)] / np.float32(LEVELS)).astype(np.float16) for n in range(len(kept.files) - 1)]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        logger.warning("The maps in {} cannot be read ({}), and are made again.", path, error)
        return None
