"""Mosaics drawn for tests: dark ground with bright bays whose number is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

LAMBERT = "EPSG:2154"
WEST, NORTH = 652_000.0, 6_862_000.0
GSD = 0.15
"""Of the bright model's contract."""


def draw(height: int, width: int, bays: int, seed: int = 0) -> tuple[NDArray[np.uint8], int]:
    """Noise, with bays of 17 x 33 pixels that do not touch; the pixels, and how many bays there are."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (height, width, 3), np.uint8)
    taken = np.zeros((height, width), bool)
    drawn = 0
    for number in range(bays):
        h, w = (33, 17) if number % 2 else (17, 33)
        y, x = int(rng.integers(3, height - h - 3)), int(rng.integers(3, width - w - 3))
        if taken[y - 3 : y + h + 3, x - 3 : x + w + 3].any():
            continue
        taken[y : y + h, x : x + w] = True
        drawn += 1
    pixels[taken] = 240
    return pixels, drawn


def write(
    path: Path, pixels: NDArray[Any], *, transform: Affine | None = None, crs: str | None = LAMBERT, **more: Any
) -> Path:
    """A GeoTIFF; without a transform at the corner above, at the model's resolution."""
    height, width, count = pixels.shape
    tags = more.pop("tags", {})
    mask = more.pop("mask", None)
    profile = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": pixels.dtype}
    where = at(0, 0) if transform is None else transform
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile, transform=where, crs=crs, **more) as file:
        file.write(np.moveaxis(pixels, 2, 0))
        file.update_tags(**tags)
        if mask is not None:
            file.write_mask(mask)
    return path


def at(row: int, column: int, step: float = GSD) -> Affine:
    """The transform of a piece that begins at a pixel of the whole."""
    return Affine(step, 0, WEST + column * step, 0, -step, NORTH - row * step)


def cut(folder: Path, pixels: NDArray[Any], rows: Sequence[int], columns: Sequence[int], **more: Any) -> Path:
    """The same mosaic as files, cut at these rows and columns."""
    height, width, _ = pixels.shape
    for top, bottom in zip([0, *rows], [*rows, height], strict=True):
        for left, right in zip([0, *columns], [*columns, width], strict=True):
            write(folder / f"{top}-{left}.tif", pixels[top:bottom, left:right], transform=at(top, left), **more)
    return folder
