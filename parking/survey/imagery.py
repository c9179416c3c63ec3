"""The imagery of a survey as web map tiles, read from its sources."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import rasterio
from loguru import logger
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from parking.data.rendering import coloured, described
from parking.errors import ImageError, SurveyError
from parking.survey.grid import Bounds
from parking.survey.mosaic import ONE_READ
from parking.survey.sources import gdal_env
from parking.survey.stretch import Stretch

__all__ = ["DEEPEST", "MOST_SOURCES", "SIDE", "ShownSource", "lies_in", "read_tile", "shown_sources"]

SIDE = 256
"""Pixels along the edge of a tile."""
DEEPEST = 24
"""Largest zoom."""
MOST_SOURCES = 16
"""Largest number of sources that one tile is read from; the rest of the tile stays transparent."""
_FINEST = 8
"""How many times finer than the tile the pixels that are read may be: at small scales, files without overviews would
be read as a whole."""
_DRIVERS = {".jp2": "JP2OpenJPEG"}
"""GDAL driver by suffix; others are read as GeoTIFF. A VRT is not allowed, since it could refer to any file."""
_WORLD = 20037508.342789244
"""Half the edge of the Web Mercator square, in metres."""


class ShownSource(BaseModel):
    """A source as in `survey.json`."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    path: str
    gsd: float
    """Metres per pixel."""

    bounds: Bounds
    """Longitudes and latitudes; east is below west across the antimeridian."""

    stretch: tuple[float, float]
    """Values that become black and white."""


def shown_sources(summary: dict[str, object], places: Sequence[str]) -> tuple[ShownSource, ...]:
    """The sources of a survey inside these folders and `s3://` prefixes; the topmost first."""
    listed = summary.get("sources")
    known = [one for one in listed if {"bounds", "stretch"} <= one.keys()] if isinstance(listed, list) else []
    return tuple(ShownSource.model_validate(one) for one in known if lies_in(one["path"], places))


def lies_in(path: str, places: Sequence[str]) -> bool:
    """Whether a path for GDAL is inside one of these folders and `s3://` prefixes; symbolic links are resolved."""
    if path.startswith("/vsis3/"):
        url = f"s3://{path.removeprefix('/vsis3/')}"
        return any(place.startswith("s3://") and url.startswith(f"{place.rstrip('/')}/") for place in places)
    if path.startswith("/vsi") or not path.startswith("/"):
        return False
    folders = (Path(place).expanduser().resolve() for place in places if "://" not in place)
    file = Path(path).resolve()
    return any(file.is_relative_to(folder) for folder in folders)


def read_tile(
    sources: Sequence[ShownSource], zoom: int, column: int, row: int, check: Callable[[], None] = lambda: None
) -> bytes:
    """A web map tile (Web Mercator, row 0 in the north) as PNG.

    It is transparent where there is no data, or where a source can no longer be read.

    Args:
        sources: the topmost first.
        zoom: from 0 to `DEEPEST`.
        column: from 0 to 2**zoom - 1.
        row: likewise.
        check: called before each source is read; an exception that it raises ends the work.

    Raises:
        SurveyError: there is no such tile.
    """
    if not (0 <= zoom <= DEEPEST and 0 <= column < 2**zoom and 0 <= row < 2**zoom):
        raise SurveyError(f"There is no tile {zoom}/{column}/{row}: a row and a column are below 2**zoom.")
    west, south, east, north = _degrees(zoom, column, row)
    step = 2 * _WORLD / 2**zoom / SIDE
    target = Affine(step, 0, column * SIDE * step - _WORLD, 0, -step, _WORLD - row * SIDE * step)
    ground = step * math.cos(math.radians((south + north) / 2))
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    there = [source for source in sources if _overlaps(source.bounds, (west, south, east, north))]
    for source in there[:MOST_SOURCES]:
        check()
        missing = rgba[:, :, 3] == 0
        if not missing.any():
            break
        try:
            found = _read(source, target, ground)
        except (RasterioError, ImageError) as error:
            logger.warning("Imagery of a survey cannot be shown: {}", error)
            continue
        if found is not None:
            rgb, valid = found
            taken = missing & valid
            rgba[taken, :3], rgba[taken, 3] = rgb[taken], 255
    return cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()


def _read(source: ShownSource, target: Affine, ground: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """Pixels (H, W, 3) and mask (H, W); None if far more would have to be read than is shown."""
    driver = _DRIVERS.get(PurePosixPath(source.path).suffix.lower(), "GTiff")
    with ONE_READ, gdal_env(), rasterio.open(source.path, driver=driver) as dataset:
        if _finest(dataset, ground / source.gsd) > _FINEST:
            return None
        rendering = described(dataset)
        exact = rendering.palette is not None
        with WarpedVRT(
            dataset,
            crs="EPSG:3857",
            transform=target,
            width=SIDE,
            height=SIDE,
            resampling=Resampling.nearest if exact else Resampling.bilinear,
            add_alpha=ColorInterp.alpha not in dataset.colorinterp,
        ) as warped:
            values = np.moveaxis(warped.read(list(rendering.bands)), 0, 2)
            valid = warped.dataset_mask() > 0
    if values.dtype == np.uint8:
        return coloured(values, rendering), valid
    low, high = source.stretch
    pixels = Stretch(low=low, high=high).apply(values)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3], valid


def _finest(dataset: DatasetReader, factor: float) -> float:
    """How many times finer than the tile the overview is that will be read.

    Args:
        dataset: open.
        factor: how many times coarser than its full resolution the tile is.
    """
    fitting = [times for times in dataset.overviews(1) if times <= factor]
    return factor / max(fitting, default=1)


def _degrees(zoom: int, column: int, row: int) -> Bounds:
    """West, south, east and north of a tile."""

    def latitude(at: float) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * at / 2**zoom))))

    return column / 2**zoom * 360 - 180, latitude(row + 1), (column + 1) / 2**zoom * 360 - 180, latitude(row)


def _overlaps(one: Bounds, tile: Bounds) -> bool:
    west, south, east, north = one
    if south >= tile[3] or tile[1] >= north:
        return False
    return west < tile[2] and tile[0] < east if west <= east else west < tile[2] or tile[0] < east
