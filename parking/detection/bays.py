"""One row of free places cut into its bays."""

import math
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.polygon import orient

from parking.detection.polygonize import polygons
from parking.detection.rows import Row, measure_row

__all__ = ["MOST_ROWS", "SMALLEST", "cut_into_bays"]

SMALLEST = 0.35
"""Share of a bay's area below which a cell at the end of a row is no place."""

MOST_ROWS = 4
"""Rows of bays in a shape up to which it is cut cell by cell."""


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
        At least one polygon, together covering the piece except for small remains at its ends.
    """
    row = measure_row(piece)
    columns, rows = _grid(row, bay_width, bay_length)
    if columns * rows == 1:
        return [_whole(piece)]
    corners = row.to_image(_cells(row, piece, columns, rows))
    smallest = SMALLEST * piece.area / (columns * rows)
    bays = [_largest(part) for part in _divided(piece, corners.reshape(rows, columns, 4, 2))]
    return [bay for bay in bays if bay is not None and bay.area >= smallest] or [_whole(piece)]


def _grid(row: Row, bay_width: float, bay_length: float) -> tuple[int, int]:
    """How many bays along the row and across it."""
    stretch = math.hypot(1.0, row.slant)
    depth, run = row.depth * stretch, row.length / stretch
    rows = _fit(depth, bay_length)
    # Bays at an angle leave a sawtooth along both sides, which is part of the area but not of the depth.
    side_by_side = _fit(run * depth / (rows * bay_length) if row.slant else run, bay_width), rows
    in_line = _fit(row.length, bay_length), _fit(row.depth, bay_width)
    misfit_side = _misfit(run, side_by_side[0], bay_width) + _misfit(depth, side_by_side[1], bay_length)
    misfit_line = _misfit(row.length, in_line[0], bay_length) + _misfit(row.depth, in_line[1], bay_width)
    # Both ways give about the same number; side by side is more common if the sizes do not decide.
    return side_by_side if misfit_side <= misfit_line + 0.1 else in_line


def _fit(length: float, unit: float) -> int:
    return max(1, math.floor(length / unit + 0.5))


def _misfit(length: float, parts: int, unit: float) -> float:
    return abs(math.log(max(length, 1e-6) / parts / unit))


def _cells(row: Row, piece: Polygon, columns: int, rows: int) -> NDArray[np.float64]:
    """Corners of the cells in the row's frame, (columns * rows, 4, 2); those at the edge extend beyond the piece."""
    outline = row.to_row(np.array(piece.exterior.coords))
    along = np.linspace(row.start, row.end, columns + 1)
    across = np.linspace(row.low, row.high, rows + 1)
    for edges, values in ((along, outline[:, 0]), (across, outline[:, 1])):
        edges[0], edges[-1] = values.min() - 1, values.max() + 1
    u, v = np.meshgrid(along, across)
    grid = np.stack([u, v], axis=-1)
    corners = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    return corners.reshape(-1, 4, 2)


def _divided(piece: Polygon, corners: NDArray[np.float64]) -> Iterator[shapely.Geometry]:
    """The part of the shape in each cell of a grid, (rows, columns, 4, 2).

    With many rows the shape is not a row at all, such as in a map that is free nearly everywhere. It is cut into rows
    first, because otherwise every cell would be intersected with an outline of thousands of corners.
    """
    strips: list[shapely.Geometry] = [piece] * len(corners)
    if len(corners) > MOST_ROWS:
        around = np.stack([corners[:, 0, 0], corners[:, -1, 1], corners[:, -1, 2], corners[:, 0, 3]], axis=1)
        strips = [MultiPolygon(polygons(part)) for part in shapely.intersection(shapely.polygons(around), piece)]
    for strip, cells in zip(strips, corners, strict=True):
        yield from shapely.intersection(shapely.polygons(cells), strip)


def _largest(part: shapely.Geometry) -> Polygon | None:
    found = polygons(part)
    return _whole(max(found, key=lambda polygon: float(polygon.area))) if found else None


def _whole(piece: Polygon) -> Polygon:
    return orient(Polygon(piece.exterior))
