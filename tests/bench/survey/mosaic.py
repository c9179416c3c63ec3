"""A mosaic of real images, or of drawn scenes where there are none, as a GeoTIFF of any size."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.windows import Window

from parking.data.synthetic import generate_scene

CELL = 512
"""Pixels along the edge of what one image gives, and of the file's tiles."""
PIECES = 400
"""Different ones, each turned in eight ways."""
WEST, NORTH, CRS = 651_996.0, 6_861_996.0, "EPSG:2154"
"""Multiples of 0.18 m and of 0.045 m: a survey's grid then lies on the file's pixels, and resamples nothing."""


def write_mosaic(path: Path, megapixels: float, gsd: float, images: Path | None, *, overviews: bool = True) -> int:
    """Write a mosaic without a hole, compressed as orthophotos are; returns its pixels.

    Images are taken as if all had the same ground resolution: what the network has to do does not depend on it.

    Args:
        path: of the GeoTIFF.
        megapixels: about how large.
        gsd: metres per pixel that it says.
        images: a folder with images somewhere in it.
        overviews: with them, as a COG has them.
    """
    across = max(1, round((megapixels * 1e6) ** 0.5 / CELL))
    pieces = list(_pieces(images))
    chance = np.random.default_rng(7)
    side = across * CELL
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
    profile |= {"tiled": True, "blockxsize": CELL, "blockysize": CELL, "compress": "jpeg", "photometric": "ycbcr"}
    transform = Affine(gsd, 0, WEST, 0, -gsd, NORTH)
    with rasterio.open(path, "w", **profile, crs=CRS, transform=transform, jpeg_quality=90) as file:
        for row in range(across):
            for column in range(across):
                piece = np.rot90(pieces[int(chance.integers(len(pieces)))], int(chance.integers(4)))
                piece = piece[:, ::-1] if chance.integers(2) else piece
                file.write(np.moveaxis(piece, 2, 0), window=Window(column * CELL, row * CELL, CELL, CELL))
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2**n for n in range(1, 7) if side >> n >= 256], Resampling.average)
    return int(side * side)


def _pieces(images: Path | None) -> Iterator[NDArray[np.uint8]]:
    """(CELL, CELL, 3) each."""
    files = sorted(file for file in images.rglob("*") if file.suffix in {".jpg", ".png"}) if images else []
    if not files:
        for seed in range(8):
            yield generate_scene(seed, CELL).raster.pixels
        return
    count = 0
    for file in files[:: max(1, len(files) // PIECES)]:
        pixels = cv2.cvtColor(np.asarray(cv2.imread(str(file))), cv2.COLOR_BGR2RGB)
        for top in range(0, pixels.shape[0] - CELL + 1, CELL):
            for left in range(0, pixels.shape[1] - CELL + 1, CELL):
                if count < PIECES:
                    count += 1
                    yield np.asarray(pixels[top : top + CELL, left : left + CELL], np.uint8)
