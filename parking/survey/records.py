"""What a block found, as rows of an Arrow table: measured on the ground, with where and when it was seen."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import Proj

from parking.survey.blocks import BlockContent
from parking.survey.grid import Grid
from parking.survey.mosaic import Layer, footprint

PLACE, VEHICLE = "place", "vehicle"
CELL_METRES = 100.0
"""Edge of a cell of the density: a hectare."""

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("id", pa.string()),
        ("confidence", pa.float32()),
        ("area_m2", pa.float32()),
        ("length_m", pa.float32()),
        ("direction", pa.float32()),
        ("source", pa.string()),
        ("date", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("longitude", pa.float64()),
        ("latitude", pa.float64()),
        ("geometry", pa.binary()),
    ]
)
"""Geometry as WKB and points in the survey's CRS; direction in degrees from true north, of the longer side."""


@dataclass(frozen=True, slots=True)
class BayRecord:
    """What stands in a known bay, and where that was seen."""

    occupied: float
    source: str
    date: str | None


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block as it is kept."""

    rows: pa.Table
    pixels: int
    tiles: int
    seconds: float
    cells: dict[tuple[int, int], int]
    """Pixels with data in each cell of the density, by row and column; see `cell_step`."""
    bays: dict[str, BayRecord] = field(default_factory=dict)
    """Known bays, by their keys."""


def cell_step(grid: Grid) -> int:
    """Edge of a cell in pixels of the grid, about a hundred metres."""
    return max(1, round(CELL_METRES / grid.gsd))


def rows_of(content: BlockContent, layers: Sequence[Layer], grid: Grid) -> pa.Table:
    """Rows for all that a block found."""
    found = [(PLACE, one) for one in content.places] + [(VEHICLE, one) for one in content.vehicles]
    pixels = np.array([one.polygon for _, one in found], dtype=object)
    polygons = shapely.transform(pixels, lambda at: _to_crs(at, grid))
    points = _to_crs(np.array([one.point for _, one in found], float).reshape(-1, 2), grid)
    longitudes, latitudes = grid.to_wgs84().transform(points[:, 0], points[:, 1])
    area, length, direction = _measure(polygons, longitudes, latitudes, grid)
    seen = [_seen_in(one.layer, point, layers, grid) for (_, one), point in zip(found, points, strict=True)]
    ids = [_id(kind, lon, lat) for (kind, _), lon, lat in zip(found, longitudes, latitudes, strict=True)]
    columns = {
        "kind": [kind for kind, _ in found],
        "id": ids,
        "confidence": np.array([one.confidence for _, one in found], np.float32),
        "area_m2": np.round(area, 2).astype(np.float32),
        "length_m": np.round(length, 2).astype(np.float32),
        "direction": np.round(direction, 1).astype(np.float32) % 180,
        "source": [name for name, _ in seen],
        "date": [taken for _, taken in seen],
        "x": points[:, 0],
        "y": points[:, 1],
        "longitude": np.asarray(longitudes, float),
        "latitude": np.asarray(latitudes, float),
        "geometry": shapely.to_wkb(polygons).tolist(),
    }
    return pa.table(columns, schema=SCHEMA)


def bays_of(content: BlockContent, layers: Sequence[Layer], grid: Grid) -> dict[str, BayRecord]:
    """What a block read of known bays."""
    points = _to_crs(np.array([bay.point for bay in content.bays], float).reshape(-1, 2), grid)
    seen = [_seen_in(bay.layer, point, layers, grid) for bay, point in zip(content.bays, points, strict=True)]
    return {bay.key: BayRecord(bay.occupied, *where) for bay, where in zip(content.bays, seen, strict=True)}


def _to_crs(pixels: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Positions in the CRS, to the hundredth of a pixel."""
    at = np.round(pixels, 2)
    return np.column_stack([grid.x + at[:, 0] * grid.step, grid.y - at[:, 1] * grid.step])


def _id(kind: str, longitude: float, latitude: float) -> str:
    """Sixteen digits that follow from where it lies, to a tenth of a metre: the same in every run."""
    return hashlib.sha256(f"{kind} {longitude:.6f} {latitude:.6f}".encode()).hexdigest()[:16]


def _measure(
    polygons: NDArray[np.object_], longitudes: NDArray[np.float64], latitudes: NDArray[np.float64], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """True square metres, true metres of the longer side, and its direction in degrees from true north."""
    if not len(polygons):
        return np.empty(0), np.empty(0), np.empty(0)
    factors = Proj(grid.crs).get_factors(longitudes, latitudes)
    scale = grid.metres / np.sqrt(np.asarray(factors.areal_scale))
    corners = shapely.get_coordinates(shapely.oriented_envelope(polygons)).reshape(-1, 5, 2)
    sides = np.diff(corners[:, :3], axis=1)
    lengths = np.hypot(sides[:, :, 0], sides[:, :, 1])
    longer = sides[np.arange(len(sides)), lengths.argmax(axis=1)]
    bearing = np.degrees(np.arctan2(longer[:, 0], longer[:, 1])) + np.asarray(factors.meridian_convergence)
    return shapely.area(polygons) * scale**2, lengths.max(axis=1) * scale, bearing % 180


def _seen_in(number: int, point: NDArray[np.float64], layers: Sequence[Layer], grid: Grid) -> tuple[str, str | None]:
    """Name and date of the source that a place was seen in; on the edge of the data, of what lies on top."""
    layer = layers[max(0, number - 1)]
    x, y = point
    boxes = ((source, footprint(source, grid)) for source in layer.sources)
    source = next((s for s, (w, south, e, n) in boxes if w <= x <= e and south <= y <= n), layer.sources[0])
    return source.name, source.date.isoformat() if source.date else None


def encode(record: BlockRecord) -> bytes:
    """A block as a Parquet file."""
    cells = [[row, column, pixels] for (row, column), pixels in sorted(record.cells.items())]
    about = {"pixels": record.pixels, "tiles": record.tiles, "seconds": round(record.seconds, 3), "cells": cells}
    about["bays"] = {key: astuple(bay) for key, bay in sorted(record.bays.items())}
    file = io.BytesIO()
    pq.write_table(record.rows.replace_schema_metadata({"block": json.dumps(about)}), file, compression="zstd")
    return file.getvalue()


def decode(data: bytes) -> BlockRecord:
    """What `encode` made a file of."""
    rows = pq.read_table(pa.BufferReader(data))
    about = json.loads(rows.schema.metadata[b"block"])
    cells = {(row, column): pixels for row, column, pixels in about["cells"]}
    bays = {key: BayRecord(*values) for key, values in about.get("bays", {}).items()}
    plain = rows.replace_schema_metadata(None)
    return BlockRecord(plain, about["pixels"], about["tiles"], about["seconds"], cells, bays)


def cells_of(valid: NDArray[np.bool_], left: int, top: int, grid: Grid) -> dict[tuple[int, int], int]:
    """Pixels with data in each cell of the density.

    Args:
        valid: (H, W), of a block's core.
        left: column of the grid where it begins.
        top: row of the grid where it begins.
        grid: of the survey.
    """
    step = cell_step(grid)
    bands, stripes = (_cells(start, size, step) for start, size in zip((top, left), valid.shape, strict=True))
    sums = {
        (row, column): int(np.count_nonzero(valid[down, across])) for row, down in bands for column, across in stripes
    }
    return {cell: pixels for cell, pixels in sums.items() if pixels}


def _cells(start: int, size: int, step: int) -> list[tuple[int, slice]]:
    """The cells that some pixels from `start` on lie in, each with its part of them."""
    cells = range(start // step, -(-(start + size) // step))
    return [(cell, slice(max(0, cell * step - start), min(size, (cell + 1) * step - start))) for cell in cells]


def of_kind(rows: pa.Table, kind: str) -> pa.Table:
    """The rows of places, or of vehicles."""
    return rows.filter(pc.equal(rows["kind"], kind))
