"""Vector layers of the user: area, districts, bays, kerbs, in any format that GDAL reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import Transformer

from parking.errors import SurveyError
from parking.survey.grid import Bounds

_POLYGONS = {3, 6}
"""Shapely's type ids of polygons and multipolygons; below, those of lines."""
_LINES = {1, 5}
_OSM = (".osm.pbf", ".osm")
Tags = dict[str, tuple[str, ...]]
"""OSM keys with the accepted values, or any value if none is given; a feature needs one of them."""
PARKING_LOTS: Tags = {"amenity": ("parking",)}
PARKING_SPACES: Tags = {"amenity": ("parking_space",)}
_STREETS = ("primary", "secondary", "tertiary", "unclassified", "residential", "living_street", "pedestrian", "road")
STREETS: Tags = {"highway": _STREETS, "parking:": ()}
"""Streets along which cars park, and lines with tags of parking."""
_NAMES = ("name", "nom", "naam", "nombre", "nome", "label", "title", "libelle", "district", "quartier", "code", "id")
"""Columns that may contain the name, in the order in which they are tried."""
_DENSE_DEGREES = 0.01


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes in one CRS, with their attributes by column."""

    shapes: NDArray[np.object_]
    columns: dict[str, NDArray[np.object_]]


def read_polygons(path: str, crs: str, *, osm: Tags = PARKING_LOTS) -> Shapes:
    """The polygons of a layer, transformed to a CRS.

    Args:
        path: GeoPackage, GeoJSON, Shapefile, OSM extract or other file; `file.gpkg#layer` names a layer, and
            `file.osm.pbf#key=value` a tag instead of the usual ones.
        crs: of the survey, or any other.
        osm: the features of an OSM extract to read.

    Raises:
        SurveyError: it cannot be read, has no CRS, or no polygon.
    """
    return _read(path, crs, _POLYGONS, "polygon", osm)


def read_lines(path: str, crs: str, *, osm: Tags = STREETS) -> Shapes:
    """The lines of a layer, see `read_polygons`."""
    return _read(path, crs, _LINES, "line", osm)


def _read(path: str, crs: str, kinds: set[int], what: str, osm: Tags) -> Shapes:
    file, _, layer = path.partition("#")
    where = ""
    if not Path(file).exists() and "://" not in file:
        raise SurveyError(f"There is no layer '{file}'. Correct the path.")
    try:
        if file.lower().endswith(_OSM):
            key, given, value = layer.partition("=")
            osm, layer = ({key: (value,)} if given else osm), osm_layer(what) if given or not layer else layer
            where = _where(osm, set(pyogrio.read_info(file, layer=layer)["fields"]))
        meta, _, geometry, fields = pyogrio.raw.read(file, layer=layer or None, where=where or None, force_2d=True)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SurveyError(
            f"'{path}' cannot be read as a layer: {error}. Export it as GeoPackage or GeoJSON."
        ) from error
    if meta["crs"] is None:
        raise SurveyError(f"'{path}' does not say its CRS. Export it again with one, as GeoPackage does.")
    shapes = shapely.make_valid(shapely.from_wkb(geometry))
    chosen = np.isin(shapely.get_type_id(shapes), [*kinds])
    if not chosen.any():
        tags = f" tagged {_told(osm)}" if where else ""
        raise SurveyError(f"'{path}' holds no {what}{tags}. Name another layer as {file}#layer.")
    placed = _transformed(shapes[chosen], meta["crs"], crs)
    return Shapes(placed, dict(zip(meta["fields"], (field[chosen] for field in fields), strict=True)))


def osm_layer(what: str) -> str:
    """GDAL's name of the layer of an OSM extract."""
    return "multipolygons" if what == "polygon" else "lines"


def _where(tags: Tags, columns: set[str]) -> str:
    """A condition in OGR's SQL: GDAL gives the usual tags columns of their own, and all others one together."""
    return " OR ".join(_condition(key, values, columns) for key, values in tags.items())


def _condition(key: str, values: tuple[str, ...], columns: set[str]) -> str:
    key, values = key.replace("'", "''"), tuple(value.replace("'", "''") for value in values)
    if key in columns:
        listed = ", ".join(f"'{value}'" for value in values)
        return f'"{key}" IN ({listed})' if values else f'"{key}" IS NOT NULL'
    # A key that ends in a colon stands for all keys that begin with it.
    patterns = [f'%"{key}"=>"{value}"%' for value in values] or [f'%"{key}%' if key.endswith(":") else f'%"{key}"=>%']
    return " OR ".join(f"other_tags LIKE '{pattern}'" for pattern in patterns)


def _told(tags: Tags) -> str:
    return " or ".join(f"{key}={'|'.join(values) or '*'}" for key, values in tags.items())


def bbox_area(bbox: Bounds, crs: str) -> shapely.Geometry:
    """A box of longitudes and latitudes in a CRS; east below west crosses the antimeridian.

    Raises:
        SurveyError: it is no box.
    """
    west, south, east, north = bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
        raise SurveyError(f"{west},{south},{east},{north} is no box: give --bbox west,south,east,north in degrees.")
    east += 360 if east < west else 0
    box = shapely.segmentize(shapely.box(west, south, east, north), _DENSE_DEGREES)
    return _transformed(np.array([box]), "OGC:CRS84", crs)[0]


def names_of(polygons: Shapes, path: str, column: str = "") -> list[str]:
    """A name for each polygon; numbered where two have the same.

    Raises:
        SurveyError: there is no such column, or none that looks like a name.
    """
    by_lower = {name.lower(): name for name in polygons.columns}
    found = by_lower.get(column.lower()) if column else next((by_lower[n] for n in _NAMES if n in by_lower), None)
    if found is None:
        there = ", ".join(polygons.columns) or "none"
        wanted = f"no column '{column}'" if column else "no column with a name"
        raise SurveyError(f"'{path}' has {wanted} (it has: {there}). Say which one with --district-name.")
    names, count = [], dict[str, int]()
    for value in polygons.columns[found]:
        name = "unnamed" if value is None or value != value else str(value)
        count[name] = count.get(name, 0) + 1
        names.append(name if count[name] == 1 else f"{name} ({count[name]})")
    return names


def _transformed(shapes: NDArray[np.object_], crs: str, target: str) -> NDArray[np.object_]:
    transformer = Transformer.from_crs(crs, target, always_xy=True)
    moved = shapely.transform(shapes, lambda at: np.column_stack(transformer.transform(at[:, 0], at[:, 1])))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise SurveyError(f"A layer in {crs[:60]} reaches beyond what the survey's CRS can place: cut it to the area.")
    return np.asarray(shapely.make_valid(moved), dtype=object)
