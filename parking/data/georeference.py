"""Georeferencing: size of pixels on the ground, and the way to WGS 84 with its accuracy."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

__all__ = ["GroundPixel", "Placement", "ground_pixel", "ground_pixel_at", "horizontal", "placement"]

_WGS84 = "EPSG:4326"
_ELLIPSOID = Geod(ellps="WGS84")
_STEP = 64.0
"""Pixels over which the size of one is measured."""

# A grid that is missing is said in the answer. Here, once, before there are threads: see `parking.data.geotiff`.
warnings.filterwarnings("ignore", "Best transformation is not available")


@dataclass(frozen=True, slots=True)
class GroundPixel:
    """Size on the ground of a pixel at the centre of an image."""

    across: float
    """Metres from a pixel to its right neighbour."""

    down: float
    """Metres from a pixel to the one below."""

    shear: float
    """Difference from a right angle between these two, in degrees."""

    @property
    def gsd(self) -> float:
        """Root of the area of a pixel, in metres."""
        return math.sqrt(self.across * self.down * math.cos(math.radians(self.shear)))


@dataclass(frozen=True, slots=True)
class Placement:
    """The transformation of a CRS to longitude and latitude."""

    transformer: Transformer
    accuracy_m: float | None
    """Accuracy of the datum shift in metres, by EPSG; None if it is unknown."""

    missing: str | None
    """The grid with which PROJ would be more accurate, as a sentence."""

    def to_wgs84(
        self, xs: Sequence[float] | NDArray[np.float64], ys: Sequence[float] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes of points.

        Raises:
            ValueError: they cannot be transformed.
        """
        try:
            longitudes, latitudes = self.transformer.transform(np.asarray(xs), np.asarray(ys), errcheck=True)
        except ProjError as error:
            raise ValueError(str(error)) from error
        if not (np.isfinite(longitudes).all() and (np.abs(latitudes) <= 90).all()):
            raise ValueError("they lie outside the Earth")
        return longitudes, latitudes


def placement(crs: Any, x: float, y: float) -> Placement:  # noqa: ANN401 - whatever names a CRS
    """The most accurate transformation to WGS 84 at a point for which PROJ has the grids.

    Args:
        crs: a CRS of rasterio or pyproj, its WKT, or a name such as `EPSG:2154`.
        x: of the point, in units of the CRS.
        y: of the point.

    Raises:
        ValueError: the CRS is not tied to the Earth, or the point is outside of it.
    """
    try:
        system = horizontal(crs)
        anyhow = Placement(Transformer.from_crs(system, _WGS84, always_xy=True), None, None)
    except ProjError as error:
        raise ValueError(str(error)) from error
    longitudes, latitudes = anyhow.to_wgs84([x], [y])
    return _best(system, math.floor((longitudes[0] + 180) % 360 - 180), math.floor(latitudes[0]))


def horizontal(crs: Any) -> CRS:  # noqa: ANN401 - as above
    """The two-dimensional CRS of pyproj; raises ProjError if there is no such CRS."""
    system = CRS.from_user_input(crs)
    return system.sub_crs_list[0] if system.is_compound else system.to_2d()


@lru_cache(maxsize=256)
def _best(system: CRS, west: int, south: int) -> Placement:
    """Of the square degree with this corner: datum shifts are made for regions."""
    area = AreaOfInterest(west, max(south, -90), min(west + 1, 180), min(south + 1, 90))
    group = TransformerGroup(system, _WGS84, always_xy=True, area_of_interest=area)  # type: ignore[arg-type] # the stub has a class of its own
    if not group.transformers:
        raise ValueError("PROJ knows no way from it to WGS 84")
    best = group.transformers[0]
    accuracy = best.accuracy if best.accuracy is not None and best.accuracy >= 0 else None
    return Placement(best, accuracy, _missing(group))


def _missing(group: TransformerGroup) -> str | None:
    if group.best_available or not group.unavailable_operations:
        return None
    better = group.unavailable_operations[0]
    grids = ", ".join(f"{grid.short_name} ({grid.url})" for grid in better.grids if not grid.available)
    within = f" within {better.accuracy:g} m" if better.accuracy >= 0 else ""
    return (
        f"The grid that would place it{within} is not installed: {grids}. Put it in PROJ's data folder."
        if grids
        else None
    )


def ground_pixel(crs: Any, transform: Affine, width: int, height: int) -> GroundPixel | None:  # noqa: ANN401
    """The size of the pixel at the centre of an image, whatever the units of its CRS.

    Measured on the ellipsoid: degrees, feet, Web Mercator (whose metres shrink by the cosine of the latitude) and the
    180th meridian are all handled. None if the CRS is neither tied to the Earth nor has a unit of length.
    """
    a, b, c, d, e, f = transform[:6]
    columns, rows = np.array([0.0, _STEP, 0.0]) + width / 2, np.array([0.0, 0.0, _STEP]) + height / 2
    xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
    try:
        system = horizontal(crs)
        if system.is_engineering:
            return _planar(transform, system)
        longitudes, latitudes = placement(system, xs[0], ys[0]).to_wgs84(xs, ys)
    except (ProjError, ValueError):
        return None
    return ground_pixel_at(longitudes, latitudes)


def ground_pixel_at(longitudes: NDArray[np.float64], latitudes: NDArray[np.float64]) -> GroundPixel | None:
    """The size of a pixel by three points: one, 64 columns to its right, and 64 rows below it."""
    azimuths, _, metres = _ELLIPSOID.inv(longitudes[[0, 0]], latitudes[[0, 0]], longitudes[1:], latitudes[1:])
    return _sound(metres[0] / _STEP, metres[1] / _STEP, azimuths[1] - azimuths[0])


def _planar(transform: Affine, system: CRS) -> GroundPixel | None:
    """For local (engineering) systems, which are not tied to the Earth but have a unit of length."""
    a, b, _, d, e, _ = transform[:6]
    unit = system.axis_info[0].unit_conversion_factor if system.axis_info else 0.0
    turn = math.degrees(math.atan2(d, a) - math.atan2(e, b))
    return _sound(math.hypot(a, d) * unit, math.hypot(b, e) * unit, turn)


def _sound(across: float, down: float, angle: float) -> GroundPixel | None:
    if not (math.isfinite(across) and math.isfinite(down) and across > 0 and down > 0):
        return None
    shear = abs(90 - abs((angle + 180) % 360 - 180))
    return GroundPixel(across, down, shear) if shear < 89 else None
