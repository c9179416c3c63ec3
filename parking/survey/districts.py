"""Counts by district, each with an interval that says how far off it may be."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from shapely import STRtree

from parking.detection.contract import CountCalibration
from parking.detection.count import count_interval
from parking.survey.grid import Grid

LEVEL = 0.8
"""Share of districts whose true number should lie between the bounds, as for a single image."""
NOWHERE = -1
"""Number of no district."""


class District(BaseModel):
    """What was found in one district."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    area_ha: float
    seen: float | None
    """Share of its area that the imagery shows; empty where the district is smaller than a cell of the density."""
    free: int
    """Free places found."""
    free_low: int
    free_high: int
    taken: int | None
    """Parked vehicles found; empty where the model does not know them."""
    share_taken: float | None
    share_low: float | None
    share_high: float | None
    free_per_ha: float
    """Of its area that the imagery shows."""
    kerb_km: float | None = None
    """Length of the lines of the layer of kerbs in it; empty where there is no such layer."""
    free_per_km: float | None = None
    """Free places a kilometre of them; empty, too, where there are none."""
    bays: int | None = None
    """Known bays; empty, with those below, where there is no layer of bays."""
    bays_free: int | None = None
    bays_occupied: int | None = None
    bays_unsure: int | None = None
    """Unsure, or not seen."""


@dataclass
class DistrictCounter:
    """Adds up what is found, a block at a time."""

    names: Sequence[str]
    shapes: NDArray[np.object_]
    free: NDArray[np.int64] = field(init=False)
    taken: NDArray[np.int64] = field(init=False)
    bays: NDArray[np.int64] | None = None
    """(districts, 3): known bays that are free, occupied, and neither for sure; None without a layer of bays."""
    kerb_km: NDArray[np.float64] | None = None
    """Kilometres of kerb in each district; None without a layer of kerbs."""

    def __post_init__(self) -> None:
        """Prepare to find districts by points."""
        self._tree = STRtree(self.shapes)
        self.free = np.zeros(len(self.names), np.int64)
        self.taken = np.zeros(len(self.names), np.int64)

    def of(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """The district of each point, the first where they overlap; `NOWHERE` outside of all."""
        found = np.full(len(x), NOWHERE, np.int64)
        points, districts = self._tree.query(shapely.points(x, y), predicate="intersects")
        order = np.argsort(districts, kind="stable")[::-1]
        found[points[order]] = districts[order]
        return found

    def add(self, districts: NDArray[np.int64], places: NDArray[np.bool_]) -> None:
        """Count rows: the district of each, and whether it is a place or a vehicle."""
        inside = districts != NOWHERE
        for counts, which in ((self.free, places), (self.taken, ~places)):
            np.add.at(counts, districts[inside & which], 1)

    def add_bays(self, districts: NDArray[np.int64], states: NDArray[np.str_]) -> None:
        """Count known bays: the district and the state of each."""
        self.bays = np.zeros((len(self.names), 3), np.int64)
        column = np.select([states == "free", states == "occupied"], [0, 1], 2)
        inside = districts != NOWHERE
        np.add.at(self.bays, (districts[inside], column[inside]), 1)


def summarise(
    counter: DistrictCounter,
    grid: Grid,
    seen: NDArray[np.float64],
    calibration: CountCalibration,
    *,
    knows_vehicles: bool,
) -> list[District]:
    """A row for each district.

    The bounds are those of its own total, not the sum of its images' bounds: errors of single images partly cancel.
    They are made as for one image, from the spread that errors had out of fold, and hold as far as errors of places
    that lie apart are independent. An error that all of a survey shares, as of a season that the model has not
    learnt, is not in them.

    Args:
        counter: what was found.
        grid: of the survey.
        seen: share of each district's area that the imagery shows, NaN where unknown.
        calibration: of the model's counts.
        knows_vehicles: whether the model looks for vehicles.
    """
    areas = true_areas(counter.shapes, grid) / 1e4
    rows = []
    for number, name in enumerate(counter.names):
        free, taken = int(counter.free[number]), int(counter.taken[number])
        low, high = count_interval(free, calibration, LEVEL)
        share = share_taken(free, taken, calibration.dispersion) if knows_vehicles else (None, None, None)
        shown = None if math.isnan(seen[number]) else float(seen[number])
        shown_ha = float(areas[number]) * (1.0 if shown is None else shown)
        rows.append(
            District(
                name=name,
                area_ha=round(float(areas[number]), 3),
                seen=None if shown is None else round(shown, 3),
                free=free,
                free_low=low,
                free_high=high,
                taken=taken if knows_vehicles else None,
                share_taken=share[0],
                share_low=share[1],
                share_high=share[2],
                free_per_ha=round(free / shown_ha, 3) if shown_ha else 0.0,
                **_of_layers(counter, number, free),
            )
        )
    return rows


def _of_layers(counter: DistrictCounter, number: int, free: int) -> dict[str, float | int | None]:
    """What layers of kerbs and bays add to a district's row."""
    found: dict[str, float | int | None] = {}
    if counter.kerb_km is not None:
        length = float(counter.kerb_km[number])
        found |= {"kerb_km": round(length, 3), "free_per_km": round(free / length, 3) if length else None}
    if counter.bays is not None:
        counts = [int(count) for count in counter.bays[number]]
        found |= {"bays": sum(counts)} | dict(zip(("bays_free", "bays_occupied", "bays_unsure"), counts, strict=True))
    return found


def columns_of(rows: Sequence[District]) -> list[str]:
    """The columns that are written: those of layers that nobody gave are left out."""
    optional = [name for name, field_of in District.model_fields.items() if not field_of.is_required()]
    empty = {name for name in optional if all(getattr(row, name) is None for row in rows)}
    return [name for name in District.model_fields if name not in empty]


def plain_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text


def share_taken(free: int, taken: int, dispersion: float) -> tuple[float | None, float | None, float | None]:
    """Share of places that is taken, with bounds: Wilson's score interval for as many places as the spread leaves.

    Errors that spread `dispersion` times as wide as chance are those of that many times fewer places.
    """
    count = free + taken
    if not count:
        return None, None, None
    z, share, effective = NormalDist().inv_cdf(0.5 + LEVEL / 2), taken / count, count / max(dispersion, 1.0)
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z * math.sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2)) / (1 + z**2 / effective)
    return round(share, 4), round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)


def true_areas(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.float64]:
    """Square metres on the ground, by the scale of the CRS in the middle of each shape."""
    middles = shapely.get_coordinates(shapely.point_on_surface(shapes))
    longitudes, latitudes = grid.to_wgs84().transform(middles[:, 0], middles[:, 1])
    return np.asarray(shapely.area(shapes) * grid.area_scale(np.asarray(longitudes), np.asarray(latitudes)))


def to_csv(rows: Sequence[District]) -> bytes:
    """The rows as a table with a header, as spreadsheets read it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row.model_dump() | {"name": plain_text(row.name)})
    return text.getvalue().encode()
