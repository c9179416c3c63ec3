"""The pixel grid of a survey: every source is resampled to it, and every tile and block is aligned to it."""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from pyproj import CRS, Proj, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from rasterio.transform import Affine

from parking.errors import SurveyError

__all__ = [
    "SAME_GSD",
    "Bounds",
    "Grid",
    "Lattice",
    "grid_at",
    "grid_on",
    "is_true_to_scale",
    "local_crs",
    "metres_per_unit",
    "middle",
    "width",
]

SAME_GSD = 0.01
"""Relative difference below which two ground resolutions count as equal, as for a single image."""
_WIDEST = 8.0
"""Degrees of longitude from the central meridian beyond which pixels are over 1 % too large."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


class Grid(BaseModel):
    """Square pixels, north up, with a fixed point of the CRS as origin, not a corner of the imagery.

    So the pixels, tiles and blocks of a survey stay where they are when imagery is added.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    crs: str
    """Projected CRS, as WKT or `EPSG:2154`."""

    x: float
    """Where column 0 begins, in units of the CRS."""

    y: float
    """Where row 0 begins; rows go south."""

    step: float
    """Edge of a pixel in units of the CRS."""

    metres: float
    """Metres in a unit of the CRS."""

    @property
    def gsd(self) -> float:
        """Metres per pixel."""
        return self.step * self.metres

    def transform(self, column: float, row: float) -> Affine:
        """Affine from pixels of a window that begins at a column and a row to the CRS."""
        return Affine(self.step, 0, self.x + column * self.step, 0, -self.step, self.y - row * self.step)

    def pixels_of(self, bounds: Bounds) -> tuple[float, float, float, float]:
        """Bounds in the CRS as columns and rows: left, top, right, bottom."""
        west, south, east, north = bounds
        left, right = (west - self.x) / self.step, (east - self.x) / self.step
        return left, (self.y - north) / self.step, right, (self.y - south) / self.step

    def to_wgs84(self) -> Transformer:
        """Transformer to longitude and latitude."""
        return Transformer.from_crs(self.crs, "OGC:CRS84", always_xy=True)

    def area_scale(self, longitudes: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
        """Square metres on the ground in a square unit of the CRS, at each point."""
        if not len(longitudes):
            return np.empty(0)
        factors = Proj(self.crs).get_factors(longitudes, latitudes)
        return self.metres**2 / np.asarray(factors.areal_scale)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The pixel grid of a source: sources that share it can be read without resampling."""

    crs: str
    step: float
    phase_x: float
    phase_y: float

    @classmethod
    def of(cls, crs: str, transform: Affine) -> "Lattice | None":
        """The lattice of a north-up raster with square pixels; None for any other."""
        a, b, c, d, e, f = tuple(transform)[:6]
        if b or d or e >= 0 or abs(a + e) > a * 1e-9:
            return None
        return cls(crs, float(f"{a:.9g}"), _phase(c / a), _phase(f / a))


def _phase(pixels: float) -> float:
    return round(pixels - round(pixels), 2) + 0.0


def grid_on(lattice: Lattice) -> Grid:
    """The grid with the pixels of a source, so that nothing is resampled."""
    x, y = lattice.phase_x * lattice.step, lattice.phase_y * lattice.step
    return Grid(crs=lattice.crs, x=x, y=y, step=lattice.step, metres=metres_per_unit(lattice.crs))


def grid_at(crs: str, gsd: float) -> Grid:
    """A grid of a given ground resolution, with the origin of the CRS."""
    metres = metres_per_unit(crs)
    return Grid(crs=crs, x=0.0, y=0.0, step=gsd / metres, metres=metres)


def metres_per_unit(crs: str) -> float:
    """Metres in a unit of a projected CRS: 0.3048 for feet."""
    return float(CRS.from_user_input(crs).axis_info[0].unit_conversion_factor)


def is_true_to_scale(crs: str, bounds: Bounds) -> bool:
    """Whether a CRS is projected and true to scale within 1 % here, which Web Mercator is not.

    Args:
        crs: any.
        bounds: longitudes and latitudes; east is below west across the antimeridian.
    """
    known = CRS.from_user_input(crs)
    if not known.is_projected:
        return False
    longitude, latitude = middle(bounds)
    try:
        factors = Proj(known).get_factors(longitude, latitude)
    except Exception:  # noqa: BLE001 - a projection that cannot say is not taken
        return False
    scales = (float(factors.meridional_scale), float(factors.parallel_scale))
    return all(math.isfinite(scale) and abs(scale - 1) < SAME_GSD for scale in scales)


def local_crs(bounds: Bounds) -> str:
    """The UTM zone of the middle of an area.

    Raises:
        SurveyError: the area is too wide for one zone.
    """
    west, _, east, _ = bounds
    longitude, latitude = middle(bounds)
    if width(west, east) > 2 * _WIDEST:
        raise SurveyError(
            f"The imagery spans {width(west, east):.0f} degrees of longitude, more than one projection can measure: "
            "survey it in parts with --bbox, each into a folder of its own."
        )
    point = AreaOfInterest(longitude, latitude, longitude, latitude)
    found = query_utm_crs_info(datum_name="WGS 84", area_of_interest=point)
    if not found:
        raise SurveyError(f"There is no UTM zone at {latitude:.1f} degrees north: give imagery in a metric CRS.")
    return f"{found[0].auth_name}:{found[0].code}"


def middle(bounds: Bounds) -> tuple[float, float]:
    """Longitude and latitude of the centre of an area."""
    west, south, east, north = bounds
    longitude = west + width(west, east) / 2
    return (longitude + 180) % 360 - 180, (south + north) / 2


def width(west: float, east: float) -> float:
    """Degrees from west to east, also across the antimeridian."""
    return east - west if east >= west else east - west + 360
