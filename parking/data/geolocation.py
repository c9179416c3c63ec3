"""The position of an open dataset: by transform, by ground control points, or roughly by a camera model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import RPCTransformer

from parking.data.georeference import GroundPixel, ground_pixel, ground_pixel_at

__all__ = ["geolocation_of"]

_GOOD_FIT_M = 1.0
"""Largest residual in metres of ground control points against an affine transform; beyond it, places would be displaced
by their own width."""
_LEAST_POINTS = 3
"""Ground control points that define a plane."""
_FIT_FOR_SIZE = 0.02
"""Share of the image's diagonal that the points may be off a plane for its slope to say how large a pixel is."""


@dataclass(frozen=True, slots=True)
class Geolocation:
    """Position and resolution of a dataset."""

    crs: CRS | None = None
    """None if the position is unknown or inexact."""

    transform: Affine | None = None
    """From pixel corners to the CRS; None if there is no CRS."""

    gsd: float | None = None
    """Ground sample distance in metres per pixel."""

    warnings: tuple[str, ...] = ()
    """Why the position is not exact, a sentence each."""


def geolocation_of(dataset: DatasetReader) -> Geolocation:
    """The position of an open dataset.

    A transform takes precedence over ground control points, and these over a camera model. If positions would be off
    by more than a metre, there is no transform, and a warning says what to do.
    """
    # Without a transform, as when a `.tfw` is missing, GDAL gives the identity: a position off Africa.
    if dataset.crs and not dataset.transform.is_identity:
        return _by_transform(dataset.crs, dataset.transform, dataset)
    points, crs = dataset.gcps
    if points:
        return _by_control_points(points, crs, dataset)
    if dataset.rpcs:
        return _by_camera_model(dataset)
    return Geolocation()


def _by_transform(crs: CRS, transform: Affine, dataset: DatasetReader) -> Geolocation:
    pixel = ground_pixel(crs, transform, dataset.width, dataset.height)
    if pixel is None:
        return Geolocation(warnings=("The image names a coordinate system, but no place on Earth in it.",))
    if dataset.rpcs:
        # Images may be projected to a constant height. Orthorectified ones may keep the model, and seem the same.
        warning = (
            "The image has a camera model (RPC) beside its transform: unless it was orthorectified, relief moves its "
            "positions by metres."
        )
        return Geolocation(crs, transform, pixel.gsd, (warning,))
    return Geolocation(crs, transform, pixel.gsd)


def _by_control_points(points: Sequence[GroundControlPoint], crs: CRS | None, dataset: DatasetReader) -> Geolocation:
    if not crs:
        return _not_placed("The ground control points name no coordinate system")
    pixels = np.array([(point.col, point.row) for point in points], np.float64)
    places = _unwrapped(np.array([(point.x, point.y) for point in points], np.float64), crs)
    transform = _plane(pixels, places)
    if transform is None:
        return _not_placed(f"The {len(points)} ground control points of the image define no plane")
    found = _by_transform(crs, transform, dataset)
    if found.gsd is None:
        return found
    back = np.array([~transform @ (x, y) for x, y in places.tolist()])
    off = float(np.hypot(*(back - pixels).T).max())
    if off * found.gsd <= _GOOD_FIT_M:
        return found
    refused = _not_placed(f"The ground control points are up to {off * found.gsd:.1f} m off a plane")
    slope_holds = off <= _FIT_FOR_SIZE * np.hypot(dataset.width, dataset.height)
    return replace(refused, gsd=found.gsd) if slope_holds else refused


def _not_placed(reason: str) -> Geolocation:
    return Geolocation(warnings=(f"{reason}: places are in pixels. Use gdalwarp first.",))


def _unwrapped(places: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Positions (N, 2) with continuous longitudes: on both sides of the 180th meridian they go beyond it."""
    if not crs.is_geographic:
        return places
    turns = np.round((places[:, 0] - places[0, 0]) / 360)
    return np.asarray(places - np.column_stack([360 * turns, np.zeros_like(turns)]), np.float64)


def _plane(pixels: NDArray[np.float64], places: NDArray[np.float64]) -> Affine | None:
    """The least-squares affine between two arrays (N, 2); None if the points lie on a line."""
    if len(pixels) < _LEAST_POINTS or not (np.isfinite(pixels).all() and np.isfinite(places).all()):
        return None
    # About their means: metres of a projection have seven digits before a tenth of a pixel is said.
    middle, centre = pixels.mean(axis=0), places.mean(axis=0)
    slopes, _, rank, _ = np.linalg.lstsq(pixels - middle, places - centre, rcond=1e-6)
    if rank < 2 or not np.linalg.det(slopes):
        return None
    (a, d), (b, e) = slopes.tolist()
    c, f = (centre - middle @ slopes).tolist()
    return Affine(a, b, c, d, e, f)


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
