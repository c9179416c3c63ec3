"""Known bays: outlines in a file, with their attributes, transformed to pixels of an image."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape

from parking.data.polygons import Ring
from parking.data.raster import Raster
from parking.errors import BaysError

__all__ = ["KnownBay", "KnownBays", "Points", "read_known_bays"]

Points = NDArray[np.float64]
"""(N, 2)."""


@dataclass(frozen=True, slots=True)
class KnownBay:
    """One bay of a layer."""

    ring: Ring
    """Its outline in pixels of the image."""

    feature: dict[str, Any]
    """The GeoJSON feature of the layer, with its geometry and attributes."""


@dataclass(frozen=True, slots=True)
class KnownBays:
    """The bays of a layer that lie in one image."""

    bays: tuple[KnownBay, ...]
    outside: int
    """Number of bays that are mostly outside the image and cannot be judged."""

    collection: dict[str, Any]
    """Members of the file besides its features."""


def read_known_bays(data: bytes, name: str, raster: Raster) -> KnownBays:
    """The bays of a GeoJSON or GeoPackage that lie in an image.

    For a georeferenced image positions are in the layer's own CRS, WGS 84 in GeoJSON that names none. For a plain image
    they are pixels with y downwards.

    Args:
        data: bytes of the file.
        name: of the file, for messages.
        raster: the image.

    Raises:
        BaysError: not such a file, no polygon in it, an outline that crosses itself, or a CRS that does not fit the
            image.
    """
    layer = _read_geopackage(data, name) if data.startswith(b"SQLite format 3") else _read_geojson(data, name)
    features = layer.get("features") or []
    if not features:
        raise BaysError(f"'{name}' holds no bay. Give a layer of polygons, a bay each.")
    to_pixels = _to_pixels(raster, layer, name)
    image = shapely.box(0, 0, raster.width, raster.height)
    inside: list[KnownBay] = []
    for number, feature in enumerate(features, start=1):
        polygon = _polygon(feature, f"bay {number} of '{name}'")
        ring = to_pixels(np.array(polygon.exterior.coords[:-1])[:, :2])
        drawn = shapely.Polygon(ring)
        if np.isfinite(ring).all() and drawn.intersection(image).area >= drawn.area / 2:
            inside.append(KnownBay(tuple((float(x), float(y)) for x, y in ring), feature))
    if not inside:
        raise BaysError(
            f"None of the {len(features)} bays of '{name}' lies in '{raster.name}': give an image of the same ground, "
            "or name the layer's coordinate reference system in the file."
        )
    rest = {key: value for key, value in layer.items() if key != "features"}
    return KnownBays(tuple(inside), len(features) - len(inside), rest)


def _read_geojson(data: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BaysError(f"'{name}' is neither GeoJSON nor a GeoPackage ({error}). Export it again.") from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise BaysError(f"'{name}' is JSON, but no GeoJSON FeatureCollection. Export the bays as GeoJSON.")
    return document


def _read_geopackage(data: bytes, name: str) -> dict[str, Any]:
    """The first layer of polygons of a GeoPackage, as GeoJSON, with its CRS."""
    from tempfile import TemporaryDirectory

    from parking.optional import required

    pyogrio = required("pyogrio", "A GeoPackage of bays")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bays.gpkg"
        path.write_bytes(data)
        try:
            meta, _, geometries, columns = pyogrio.raw.read(path)
        except Exception as error:  # GDAL's own errors have no public base class
            raise BaysError(f"'{name}' is a GeoPackage that cannot be read ({error}). Export it again.") from error
    names = meta["fields"].tolist()
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(wkb))),
            "properties": {field: _plain(column[row]) for field, column in zip(names, columns, strict=True)},
        }
        for row, wkb in enumerate(geometries)
    ]
    return {"type": "FeatureCollection", "crs": {"properties": {"name": meta["crs"]}}, "features": features}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a layer holds
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, (str, int, float, bool)) or item is None else str(item)


def _polygon(feature: dict[str, Any], what: str) -> shapely.Polygon:
    """The polygon of a feature, the largest if it has several."""
    try:
        found = shape(feature["geometry"])
    except Exception as error:
        raise BaysError(f"The geometry of {what} cannot be read ({error}). Correct it, or leave it out.") from error
    parts = [part for part in getattr(found, "geoms", [found]) if isinstance(part, shapely.Polygon)]
    if not parts:
        raise BaysError(f"{what[0].upper()}{what[1:]} is a {found.geom_type}, and a bay is a polygon. Leave it out.")
    largest = max(parts, key=lambda part: float(part.area))
    if not largest.is_valid or not largest.area:
        raise BaysError(
            f"The outline of {what} is not valid ({shapely.is_valid_reason(largest)}). Draw it again, or mend the "
            "layer with QGIS's 'Fix geometries'."
        )
    return largest


def _to_pixels(raster: Raster, layer: dict[str, Any], name: str) -> Callable[[Points], Points]:
    """The transformation of (N, 2) positions of the layer to pixels of the image."""
    said = ((layer.get("crs") or {}).get("properties") or {}).get("name")
    if raster.crs is None or raster.transform is None:
        if said and not str(said).startswith("ENGCRS"):
            raise BaysError(
                f"'{name}' lies in {said}, but '{raster.name}' does not say where on Earth it lies: give a "
                "georeferenced image, or bays in its pixels without a CRS."
            )
        return lambda points: points
    # Imported late: PROJ is slow to import, and few images are georeferenced.
    import pyproj

    try:
        crs = pyproj.CRS.from_user_input(said or "OGC:CRS84")
        way = pyproj.Transformer.from_crs(crs, raster.crs.to_wkt(), always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise BaysError(f"'{name}' names the CRS {said!r}, which nobody knows ({error}). Name it as EPSG:…") from error
    back = ~raster.transform

    def to_pixels(points: Points) -> Points:
        xs, ys = way.transform(points[:, 0], points[:, 1])
        columns, rows = back @ (np.asarray(xs), np.asarray(ys))
        return np.stack([columns, rows], axis=1)

    return to_pixels
