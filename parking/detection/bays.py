"""One row of free places cut into its bays."""

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.polygon import orient

SMALLEST = 0.35
"""Share of a bay below which a cell at a ragged end is no place."""

SLANT = 0.15
"""Slant from which the bays of a row are taken to stand at an angle (8.5°)."""

STEEPEST = 1.75
"""Slant up to which they are: bays stand at 30° to their row or more."""

LEVELS = 15
"""Lines across a row that its ends are measured on."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """A row seen along its long side: `u` runs along the row, `v` across it, in pixels from its middle."""

    middle: NDArray[np.float64]
    along: NDArray[np.float64]

    @property
    def across(self) -> NDArray[np.float64]:
        return np.array([-self.along[1], self.along[0]])

    def to_row(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        offsets = points - self.middle
        return np.stack([offsets @ self.along, offsets @ self.across], axis=1)

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.middle + points[..., :1] * self.along + points[..., 1:] * self.across


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as a parallelogram: between `start` and `end` along, `low` and `high` across, ends slanted by `slant`."""

    start: float
    end: float
    low: float
    high: float
    slant: float

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def depth(self) -> float:
        return self.high - self.low


def cut_into_bays(piece: Polygon, bay_width: float, bay_length: float) -> list[Polygon]:
    """Cut a shape of about one row into bays.

    The shape is measured as a parallelogram (bays often stand at an angle to the lane), and divided into the grid
    whose cells come nearest to a bay: side by side across the row, or one behind the other along a kerb; two rows
    that share their back edge become two rows of cells.

    Args:
        piece: a simple polygon, in pixels.
        bay_width: of one bay, in pixels.
        bay_length: of one bay, in pixels.

    Returns:
        At least one polygon, together covering the piece but for crumbs at its ends.
    """
    frame = _frame(piece)
    outline = frame.to_row(np.array(piece.exterior.coords))
    row = _measure(outline, piece.area)
    columns, rows = _grid(row, bay_width, bay_length)
    if columns * rows == 1:
        return [_whole(piece)]
    cells = shapely.polygons(frame.to_image(_cells(row, outline, columns, rows)))
    smallest = SMALLEST * piece.area / (columns * rows)
    bays = [_largest(part) for part in shapely.intersection(cells, piece)]
    return [bay for bay in bays if bay is not None and bay.area >= smallest] or [_whole(piece)]


def _frame(piece: Polygon) -> _Frame:
    middle, (width, height), degrees = cv2.minAreaRect(np.array(piece.exterior.coords, dtype=np.float32))
    angle = math.radians(degrees if width >= height else degrees + 90)
    return _Frame(np.array(middle, dtype=np.float64), np.array([math.cos(angle), math.sin(angle)]))


def _measure(outline: NDArray[np.float64], area: float) -> _Row:
    """The parallelogram of the same area that lies best on an outline.

    Args:
        outline: (N, 2), closed, in the row's frame.
        area: of the shape, in square pixels.
    """
    low, high = float(outline[:, 1].min()), float(outline[:, 1].max())
    levels = np.linspace(low, high, LEVELS + 4)[2:-2]
    starts, ends = _ends(outline, levels)
    first, last = (float(np.polyfit(levels, side, 1)[0]) for side in (starts, ends))
    slant = (first + last) / 2
    # Ends that do not lean the same way are ragged, not slanted.
    if not (SLANT <= abs(slant) <= STEEPEST and abs(first - last) < 0.35 + 0.3 * abs(slant)):
        slant = 0.0
    start, end = float(np.median(starts - slant * levels)), float(np.median(ends - slant * levels))
    length = max(end - start, 1e-6)
    # Bulges stretch a bounding box; the area does not care.
    margin = (high - low - min(area / length, high - low)) / 2
    return _Row(start, end, low + margin, high - margin, slant)


def _ends(outline: NDArray[np.float64], levels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each level enters and leaves the outline."""
    u, v = outline[:-1].T
    du, dv = np.diff(outline, axis=0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (levels[:, None] - v[None]) / dv[None]
        crossing = np.where((share >= 0) & (share <= 1), u[None] + share * du[None], np.nan)
    return np.nanmin(crossing, axis=1), np.nanmax(crossing, axis=1)


def _grid(row: _Row, bay_width: float, bay_length: float) -> tuple[int, int]:
    """How many bays along the row and across it."""
    stretch = math.hypot(1.0, row.slant)
    depth, run = row.depth * stretch, row.length / stretch
    side_by_side = _fit(run, bay_width), _fit(depth, bay_length)
    in_line = _fit(row.length, bay_length), _fit(row.depth, bay_width)
    misfit_side = _misfit(run, side_by_side[0], bay_width) + _misfit(depth, side_by_side[1], bay_length)
    misfit_line = _misfit(row.length, in_line[0], bay_length) + _misfit(row.depth, in_line[1], bay_width)
    # Either way gives about as many; side by side is the commoner where the sizes do not tell.
    return side_by_side if misfit_side <= misfit_line + 0.1 else in_line


def _fit(length: float, unit: float) -> int:
    return max(1, math.floor(length / unit + 0.5))


def _misfit(length: float, parts: int, unit: float) -> float:
    return abs(math.log(max(length, 1e-6) / parts / unit))


def _cells(row: _Row, outline: NDArray[np.float64], columns: int, rows: int) -> NDArray[np.float64]:
    """Corners of the cells, (columns x rows, 4, 2); those at the rim reach to the outline's last corner."""
    across = np.linspace(row.low, row.high, rows + 1)
    across[0], across[-1] = outline[:, 1].min() - 1, outline[:, 1].max() + 1
    leaning = outline[:, 0] - row.slant * outline[:, 1]
    along = np.linspace(row.start, row.end, columns + 1)
    along[0], along[-1] = leaning.min() - 1, leaning.max() + 1
    corners = []
    for v0, v1 in pairwise(across):
        for u0, u1 in pairwise(along):
            quad = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
            quad[:, 0] += row.slant * quad[:, 1]
            corners.append(quad)
    return np.array(corners)


def _largest(part: shapely.Geometry) -> Polygon | None:
    polygons = [p for p in getattr(part, "geoms", [part]) if isinstance(p, Polygon) and not p.is_empty]
    return _whole(max(polygons, key=lambda p: float(p.area))) if polygons else None


def _whole(piece: Polygon) -> Polygon:
    return orient(Polygon(piece.exterior))
