"""Where an open source lies: by its transform, by ground control points, or roughly by a camera model."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import RPCTransformer, from_gcps

from parking.data.georeference import GroundPixel, ground_pixel, ground_pixel_at

_GOOD_FIT_M = 1.0
"""Metres that ground control points may be off a plane: more, and places would lie on their neighbours."""


@dataclass(frozen=True, slots=True)
class Geolocation:
    """What a source says of its place on Earth."""

    crs: CRS | None = None
    """None where it lies nowhere, or nobody can say where exactly."""

    transform: Affine | None = None
    """From pixel corners to the CRS; None where that is."""

    gsd: float | None = None
    """Ground sample distance in metres a pixel."""

    warnings: tuple[str, ...] = ()
    """Why it says less than one would think, a sentence each."""


def geolocation_of(dataset: DatasetReader) -> Geolocation:
    """Where an open source lies."""
    # Without a transform, as in a `.tfw` that was left behind, GDAL gives the identity: a place off Africa.
    if dataset.crs and not dataset.transform.is_identity:
        return _by_transform(dataset.crs, dataset.transform, dataset)
    points, crs = dataset.gcps
    if len(points) >= 3 and crs:
        return _by_control_points(dataset)
    if dataset.rpcs:
        return _by_camera_model(dataset)
    return Geolocation()


def _by_transform(crs: CRS, transform: Affine, dataset: DatasetReader) -> Geolocation:
    pixel = ground_pixel(crs, transform, dataset.width, dataset.height)
    if pixel is None:
        return Geolocation(warnings=("The image names a coordinate system, but no place on Earth in it.",))
    return Geolocation(crs, transform, pixel.gsd)


def _by_control_points(dataset: DatasetReader) -> Geolocation:
    points, crs = dataset.gcps
    transform = from_gcps(points)
    found = _by_transform(crs, transform, dataset)
    if found.gsd is None:
        return found
    pixels = np.array([(point.col, point.row) for point in points])
    back = np.array([~transform @ (point.x, point.y) for point in points])
    off = float(np.hypot(*(back - pixels).T).max()) * found.gsd
    if off <= _GOOD_FIT_M:
        return found
    warning = f"The ground control points are up to {off:.1f} m off a plane: places are in pixels. Use gdalwarp first."
    return Geolocation(gsd=found.gsd, warnings=(warning,))


def _by_camera_model(dataset: DatasetReader) -> Geolocation:
    """The resolution alone: without the height of the ground, a camera model may be off by a hundred metres."""
    warning = "The image has a camera model (RPC) and is not orthorectified: places are in pixels. Use gdalwarp first."
    pixel = _camera_pixel(dataset)
    return Geolocation(gsd=pixel.gsd if pixel else None, warnings=(warning,))


def _camera_pixel(dataset: DatasetReader) -> GroundPixel | None:
    rows, columns = np.array([0, 0, 64]) + dataset.height // 2, np.array([0, 64, 0]) + dataset.width // 2
    try:
        with RPCTransformer(dataset.rpcs) as model:
            longitudes, latitudes = model.xy(rows, columns, zs=[dataset.rpcs.height_off] * 3)
    except (RasterioError, ValueError, TypeError):
        return None
    return ground_pixel_at(np.asarray(longitudes), np.asarray(latitudes))
