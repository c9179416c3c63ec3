"""Known bays of a survey: each is judged once, by the block that contains its representative point."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from parking.detection.contract import Contract
from parking.detection.occupancy import Bay
from parking.errors import SurveyError
from parking.survey.blocks import Block, KnownBay, owner_of
from parking.survey.districts import NOWHERE, DistrictCounter, plain_text
from parking.survey.grid import Grid
from parking.survey.records import BayRecord
from parking.survey.results import add_style, save_layer
from parking.survey.style import BAYS_STYLE
from parking.survey.tiling import Tiling
from parking.survey.vectors import PARKING_SPACES, read_polygons

UNSEEN = "not seen"
"""State of a bay that the imagery does not cover completely."""
_OURS = {
    "state": pa.string(),
    "occupied": pa.float64(),
    "source": pa.string(),
    "date": pa.string(),
    "district": pa.string(),
}


@dataclass(frozen=True)
class BayLayer:
    """The bays of a layer, by block."""

    shapes: NDArray[np.object_]
    """In the survey's CRS."""
    columns: Mapping[str, NDArray[np.object_]]
    """Attributes of the layer."""
    bays: tuple[KnownBay, ...]
    by_block: Mapping[Block, tuple[int, ...]]

    def of(self, block: Block) -> tuple[KnownBay, ...]:
        """The bays that a block judges."""
        return tuple(self.bays[number] for number in self.by_block.get(block, ()))


def read_bay_layer(path: str, grid: Grid, tiling: Tiling, contract: Contract) -> BayLayer:
    """The bays of a layer; of an OSM extract, the polygons tagged `amenity=parking_space`.

    Args:
        path: of the layer, see `read_polygons`. Of several polygons of one bay the largest counts.
        grid: of the survey.
        tiling: of the survey.
        contract: of the model.

    Raises:
        SurveyError: it cannot be read, or the model sees no vehicles.
    """
    if contract.known_bays is None:
        raise SurveyError(
            "This model sees no vehicles, so it cannot say which bays are taken. Use the model that ships, or leave "
            "--bays out."
        )
    found = read_polygons(path, grid.crs, osm=PARKING_SPACES)
    polygons = [_in_pixels(_largest(shape), grid) for shape in found.shapes]
    bays = tuple(KnownBay(_key(polygon), polygon) for polygon in polygons)
    by_block: dict[Block, list[int]] = {}
    points = shapely.get_coordinates(shapely.point_on_surface(np.array(polygons, object)))
    for number, (x, y) in enumerate(points):
        by_block.setdefault(owner_of(float(x), float(y), tiling), []).append(number)
    kept = {block: tuple(numbers) for block, numbers in by_block.items()}
    return BayLayer(found.shapes, found.columns, bays, kept)


def _largest(shape: shapely.Geometry) -> shapely.Polygon:
    return max(shapely.get_parts(shape), key=shapely.area)


def _in_pixels(polygon: shapely.Polygon, grid: Grid) -> shapely.Polygon:
    """In pixels of the grid, rounded to a hundredth, so that a layer that was saved again gives the same bay."""
    origin, step = (grid.x, grid.y), (grid.step, -grid.step)
    return shapely.transform(shapely.Polygon(polygon.exterior), lambda at: np.round((at - origin) / step, 2))


def _key(polygon: shapely.Polygon) -> str:
    return hashlib.sha256(shapely.to_wkb(polygon)).hexdigest()[:16]


def write_bays(
    folder: Path, layer: BayLayer, read: Mapping[str, BayRecord], districts: DistrictCounter | None, grid: Grid
) -> tuple[list[str], dict[str, int]]:
    """Write `bays.gpkg`, `.parquet` and `.csv`: all bays with their attributes and states.

    Args:
        folder: to write in.
        layer: all bays.
        read: results of the blocks, by key of the bay.
        districts: if there are any; they count the bays, too.
        grid: of the survey.

    Returns:
        The names of the files, and how many bays are in each state.
    """
    records = [read.get(bay.key) for bay in layer.bays]
    states = [UNSEEN if one is None else Bay((), one.occupied).state for one in records]
    points = shapely.get_coordinates(shapely.point_on_surface(layer.shapes))
    numbers = np.full(len(states), NOWHERE) if districts is None else districts.of(points[:, 0], points[:, 1])
    if districts is not None:
        districts.add_bays(numbers, np.array(states))
    ours: dict[str, list[Any]] = {
        "state": states,
        "occupied": [None if one is None else round(one.occupied, 4) for one in records],
        "source": [None if one is None else one.source for one in records],
        "date": [None if one is None else one.date for one in records],
        "district": [None if n == NOWHERE or districts is None else districts.names[n] for n in numbers.tolist()],
    }
    table = _own(layer)
    for name, kind in _OURS.items():
        table = table.append_column(name, pa.array(ours[name], kind))
    _write_geopackage(folder / "bays.gpkg", table, layer, grid)
    placed = shapely.transform(layer.shapes, lambda at: np.round(np.column_stack(grid.to_wgs84().transform(*at.T)), 8))
    _write_parquet(folder / "bays.parquet", table, placed)
    (folder / "bays.csv").write_bytes(_csv(table, shapely.get_coordinates(shapely.centroid(placed))))
    counts = {state.replace(" ", "_"): states.count(state) for state in ("free", "occupied", "unsure", UNSEEN)}
    return ["bays.gpkg", "bays.parquet", "bays.csv"], counts


def _own(layer: BayLayer) -> pa.Table:
    """The layer's own attributes; names that we or a format use get the prefix `own_`."""
    taken = {*_OURS, "geometry", "fid", "longitude", "latitude"}
    names = [f"own_{name}" if name.lower() in taken else name for name in layer.columns]
    return pa.table({name: _array(values) for name, values in zip(names, layer.columns.values(), strict=True)})


def _array(values: NDArray[Any]) -> pa.Array:
    """A column as an Arrow array; as text if Arrow has no type for it."""
    try:
        found = pa.array(values, from_pandas=True)
    except pa.ArrowException:
        found = pa.array([None if value is None else str(value) for value in values], pa.string())
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _write_geopackage(path: Path, table: pa.Table, layer: BayLayer, grid: Grid) -> None:
    many = [shapely.multipolygons([p for p in shapely.get_parts(s) if p.geom_type == "Polygon"]) for s in layer.shapes]
    table = table.append_column("geometry", pa.array(shapely.to_wkb(many), pa.binary()))
    save_layer(table.to_reader(), path, "bays", grid.crs, "MultiPolygon")
    add_style(path, "bays", BAYS_STYLE)


def _write_parquet(path: Path, table: pa.Table, placed: NDArray[np.object_]) -> None:
    """GeoParquet 1.1 in longitude and latitude."""
    column = {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = table.append_column("geometry", pa.array(shapely.to_wkb(placed), pa.binary()))
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(about)}), path, compression="zstd")


def _csv(table: pa.Table, middles: NDArray[np.float64]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.column_names, "longitude", "latitude"])
    columns = [column.to_pylist() for column in table.columns]
    for values, (longitude, latitude) in zip(zip(*columns, strict=True), middles, strict=True):
        shown = [plain_text(value) if isinstance(value, str) else value for value in values]
        at = [None if math.isnan(value) else round(float(value), 7) for value in (longitude, latitude)]
        writer.writerow([*shown, *at])
    return text.getvalue().encode()
