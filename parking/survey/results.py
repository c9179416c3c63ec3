"""The files of a survey, written block by block: memory does not grow with the number of places."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyogrio
import rasterio
import rasterio.shutil
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.transform import Affine

from parking.survey.districts import NOWHERE, District, DistrictCounter, columns_of
from parking.survey.grid import Grid
from parking.survey.records import PLACE, SCHEMA, VEHICLE, BayRecord, BlockRecord, cell_step, of_kind
from parking.survey.report import Density
from parking.survey.style import PLACES_STYLE

ROW_GROUP = 5_000
"""Rows of a row group: a reader of a small box skips the others."""
_CHANGED = "2000-01-01T00:00:00.000Z"
"""Fixed time stamp of GeoPackages: with the time of writing, equal data would give different bytes."""
_GEOPACKAGE = "1.2"
"""Version of the format: the newest that GDAL 3.6, as in Debian and older QGIS, opens without a warning."""
_BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
_ROWS = pa.schema([field for field in SCHEMA if field.name != "kind"] + [("district", pa.string())])
_SHOWN = [field.name for field in _ROWS if field.name not in ("x", "y", "longitude", "latitude", "geometry")]
_PARQUET = pa.schema([_ROWS.field(name) for name in _SHOWN] + [("bbox", _BBOX), ("geometry", pa.binary())])


@dataclass
class Totals:
    """Totals of the written rows, for the summary."""

    places: int = 0
    vehicles: int = 0
    pixels: int = 0
    tiles: int = 0
    seconds: float = 0.0


class Gatherer:
    """Takes blocks one by one, in any fixed order, and writes the survey's files into a folder."""

    def __init__(
        self, folder: Path, grid: Grid, area: shapely.Geometry | None, districts: DistrictCounter | None
    ) -> None:
        self._folder, self._grid, self._area, self._districts = folder, grid, area, districts
        if area is not None:
            shapely.prepare(area)
        self._writers = {
            kind: pq.ParquetWriter(folder / f".{kind}.parquet", _ROWS, compression="zstd") for kind in (PLACE, VEHICLE)
        }
        self.totals = Totals()
        self.bays: dict[str, BayRecord] = {}
        self.seen: dict[tuple[int, int], int] = {}
        self.places_in: dict[tuple[int, int], int] = {}

    def add(self, record: BlockRecord) -> None:
        """Take a block."""
        rows = self._inside(record.rows)
        x, y = (rows[name].to_numpy() for name in ("x", "y"))
        places = pc.equal(rows["kind"], PLACE).to_numpy(zero_copy_only=False)
        names = pa.nulls(len(rows), pa.string())
        if self._districts is not None:
            number = self._districts.of(x, y)
            self._districts.add(number, places)
            names = pa.array([None if n == NOWHERE else self._districts.names[n] for n in number], pa.string())
        rows = rows.append_column("district", names)
        self._count(record, x[places], y[places], len(rows))
        for kind, writer in self._writers.items():
            writer.write_table(of_kind(rows, kind).select(_ROWS.names))

    def close(self) -> None:
        """Finish the rows, so that the files can be made from them."""
        for writer in self._writers.values():
            writer.close()

    def write(self, kind: str, name: str, style: str = PLACES_STYLE) -> list[str]:
        """Write `<name>.parquet` and `<name>.gpkg` from the gathered rows; returns the names of the files."""
        gathered = self._folder / f".{kind}.parquet"
        write_geoparquet(gathered, self._folder / f"{name}.parquet", self._grid)
        write_geopackage(gathered, self._folder / f"{name}.gpkg", name, self._grid, style)
        gathered.unlink()
        return [f"{name}.parquet", f"{name}.gpkg"]

    def _inside(self, rows: pa.Table) -> pa.Table:
        if self._area is None or not len(rows):
            return rows
        inside = shapely.intersects_xy(self._area, rows["x"].to_numpy(), rows["y"].to_numpy())
        return rows.filter(pa.array(inside))

    def _count(self, record: BlockRecord, x: NDArray[np.float64], y: NDArray[np.float64], rows: int) -> None:
        totals = self.totals
        totals.places += len(x)
        totals.vehicles += rows - len(x)
        totals.pixels += record.pixels
        totals.tiles += record.tiles
        totals.seconds += record.seconds
        self.bays.update(record.bays)
        for cell, pixels in record.cells.items():
            self.seen[cell] = self.seen.get(cell, 0) + pixels
        edge = cell_step(self._grid) * self._grid.step
        for column, row in zip((x - self._grid.x) // edge, (self._grid.y - y) // edge, strict=True):
            cell = (int(row), int(column))
            self.places_in[cell] = self.places_in.get(cell, 0) + 1


def write_geoparquet(gathered: Path, path: Path, grid: Grid) -> None:
    """Rows as GeoParquet 1.1 in longitude and latitude, with bounding boxes by which readers skip row groups."""
    transformer = grid.to_wgs84()
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "covering": {"bbox": {s: ["bbox", s] for s in _BBOX.names}},
    }
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    schema = _PARQUET.with_metadata({"geo": json.dumps(about)})
    source = pq.ParquetFile(gathered)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _even_batches(source.iter_batches(ROW_GROUP), ROW_GROUP):
            writer.write_table(_in_degrees(batch, transformer).cast(schema), row_group_size=ROW_GROUP)


def _even_batches(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Tables of `size` rows: with a row group for each block, large files would be slow to open."""
    waiting, count = list[pa.RecordBatch](), 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch)
        if count >= size:
            yield pa.Table.from_batches(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _in_degrees(rows: pa.Table, transformer: Transformer) -> pa.Table:
    shapes = shapely.from_wkb(rows["geometry"].to_numpy())
    placed = shapely.transform(shapes, lambda at: np.round(np.column_stack(transformer.transform(*at.T)), 8))
    bounds = shapely.bounds(placed).reshape(-1, 4)
    boxes = pa.StructArray.from_arrays([pa.array(bounds[:, side]) for side in range(4)], fields=list(_BBOX))
    geometry = pa.array(shapely.to_wkb(shapely.normalize(placed)), pa.binary())
    return rows.select(_SHOWN).append_column("bbox", boxes).append_column("geometry", geometry)


def write_geopackage(gathered: Path, path: Path, layer: str, grid: Grid, style: str) -> None:
    """Rows as a GeoPackage in the survey's CRS, with a default style for QGIS."""
    source = pq.ParquetFile(gathered)
    shown = [*_SHOWN, "geometry"]
    schema = pa.schema([_ROWS.field(name) for name in shown])
    reader = pa.RecordBatchReader.from_batches(schema, source.iter_batches(ROW_GROUP, columns=shown))
    save_layer(reader, path, layer, grid.crs, "Polygon")
    add_style(path, layer, style)


def save_layer(reader: pa.RecordBatchReader, path: Path, layer: str, crs: str, kind: str) -> None:
    """A GeoPackage of Arrow rows whose geometry is WKB; equal rows give equal bytes."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _CHANGED})
    try:
        pyogrio.write_arrow(
            reader, path, layer=layer, driver="GPKG", geometry_name="geometry", geometry_type=kind, crs=crs,
            dataset_options={"VERSION": _GEOPACKAGE},
        )  # fmt: skip
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def add_style(path: Path, layer: str, style: str) -> None:
    """Add the default style of a layer, in the table that QGIS reads."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT,"
            " f_table_schema TEXT, f_table_name TEXT, f_geometry_column TEXT, styleName TEXT, styleQML TEXT,"
            " styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT, ui TEXT, update_time DATETIME)"
        )
        values = ("", "", layer, "geometry", layer, style, "", 1, "", "", "", _CHANGED)
        database.execute(f"INSERT INTO layer_styles VALUES (1, {', '.join('?' * len(values))})", values)  # noqa: S608
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', ?)",
            (_CHANGED,),
        )


def write_density(path: Path, density: Density, grid: Grid) -> None:
    """Free places per hectare of ground with imagery, as a COG; no data elsewhere."""
    height, width = density.values.shape
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=width, height=height, count=1, dtype="float32", crs=grid.crs,
            transform=density.transform @ Affine.scale(density.step), nodata=np.nan,
        ) as draft:  # fmt: skip
            draft.write(density.values, 1)
            draft.set_band_description(1, "free places per hectare")
        with memory.open() as draft:
            rasterio.shutil.copy(draft, path, driver="COG", compress="DEFLATE", overviews="AUTO")


def write_districts(path: Path, rows: list[District], shapes: NDArray[np.object_], grid: Grid, style: str) -> None:
    """Districts as a GeoPackage, styled by the share taken, or by density where that is not known."""
    values = [row.model_dump() for row in rows]
    kinds = {name: _ARROW[_column_type(name)] for name in columns_of(rows)}
    table = pa.Table.from_pylist(values, schema=pa.schema(list(kinds.items())))
    many = shapely.multipolygons([_parts(shape) for shape in shapes]) if len(shapes) else shapes
    table = table.append_column("geometry", pa.array(shapely.to_wkb(many), pa.binary()))
    save_layer(table.to_reader(), path, "districts", CRS.from_user_input(grid.crs).to_wkt(), "MultiPolygon")
    add_style(path, "districts", style)


_ARROW = {"name": pa.string(), "int": pa.int64(), "float": pa.float64()}


_WHOLE = {"free", "free_low", "free_high", "taken", "bays", "bays_free", "bays_occupied", "bays_unsure"}


def _column_type(name: str) -> str:
    return "name" if name == "name" else "int" if name in _WHOLE else "float"


def _parts(shape: shapely.Geometry) -> list[shapely.Polygon]:
    return [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
