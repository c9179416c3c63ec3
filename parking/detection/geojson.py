"""Answers as GeoJSON in longitude and latitude, with the accuracy of positions."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from loguru import logger
from shapely import LinearRing, Polygon
from shapely.affinity import translate
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from parking.data.annotations import Ring
from parking.data.raster import Frame, Raster
from parking.detection.detection import Detection
from parking.detection.spots import Spot

if TYPE_CHECKING:
    from parking.data.georeference import Placement

__all__ = ["IMAGE_CRS", "Location", "closed", "locate", "to_geojson", "vehicles_to_geojson"]

_GOOD_M = 1.25
"""Half the width of a bay: with a larger error, a position may be that of the neighbouring place."""

_PIXELS = (
    'ENGCRS["Pixels of the image, y downwards",EDATUM["Upper left corner of the image"],CS[Cartesian,2],'
    'AXIS["x",unspecified],AXIS["y",unspecified],LENGTHUNIT["pixel",1]]'
)
IMAGE_CRS = {"type": "name", "properties": {"name": _PIXELS}}
"""Member `crs` of a collection in pixels: without it, GDAL takes the pixels for degrees of WGS 84."""


@dataclass(frozen=True, slots=True)
class Location:
    """Geographic positions of the places of an image."""

    rings: tuple[Ring, ...] | None = None
    """Longitudes and latitudes in WGS 84, each ring in one piece: beyond 180 degrees where it crosses the 180th
    meridian. None where the image lies nowhere."""

    accuracy_m: float | None = None
    """Accuracy of positions in metres, by the datum shift alone; None if it is unknown."""

    warnings: tuple[str, ...] = ()
    """Warnings about the positions, a sentence each."""


def to_geojson(detection: Detection, raster: Raster | Frame, model_version: str = "") -> dict[str, Any]:
    """The places as a FeatureCollection (RFC 7946), with metadata as foreign members.

    Where the raster is georeferenced, positions are longitude and latitude in WGS 84. Where it is not, they are
    pixels of the image with y downwards; `coordinate_system` says `image`, and `crs` says it to a GIS. A place on the
    180th meridian is cut in two there.

    Args:
        detection: the places and vehicles.
        raster: the image.
        model_version: of the model.
    """
    collection = _collection(detection.spots, raster, ("confidence", "area_m2", "kind"))
    return collection | {
        "count": detection.count,
        "count_interval": list(detection.count_interval),
        "taken": detection.taken,
        "share_taken": detection.share_taken,
        **_about(detection, raster, model_version),
        "warnings": [*raster.warnings, *collection["warnings"]],
    }


def vehicles_to_geojson(detection: Detection, raster: Raster | Frame, model_version: str = "") -> dict[str, Any]:
    """The vehicles as a FeatureCollection, like `to_geojson`; None if the model finds no vehicles."""
    collection = _collection(detection.vehicles or (), raster, ("confidence", "area_m2"))
    return collection | {
        "count": detection.taken,
        **_about(detection, raster, model_version),
        "warnings": [*raster.warnings, *collection["warnings"]],
    }


def _collection(spots: Sequence[Spot], raster: Raster | Frame, properties: Sequence[str]) -> dict[str, Any]:
    """Outlines as features, with these attributes as properties."""
    rings = [spot.ring for spot in spots]
    location = locate(rings, raster)
    shapes = [_flat(ring) for ring in rings] if location.rings is None else [_on_globe(ring) for ring in location.rings]
    features = [
        {
            "type": "Feature",
            "id": number,
            "geometry": shape,
            "properties": {name: getattr(spot, name) for name in properties},
        }
        for number, (spot, shape) in enumerate(zip(spots, shapes, strict=True), start=1)
    ]
    return {
        "type": "FeatureCollection",
        **({"crs": IMAGE_CRS} if location.rings is None else {}),
        "features": features,
        "coordinate_system": "image" if location.rings is None else "WGS 84",
        "position_accuracy_m": location.accuracy_m,
        "warnings": list(location.warnings),
    }


def _about(detection: Detection, raster: Raster | Frame, model_version: str) -> dict[str, Any]:
    """Metadata of the image and the model, for any outlines."""
    return {
        "gsd": _gsd(detection),
        "imagery_date": detection.imagery_date.isoformat() if detection.imagery_date else "unknown",
        "stretch": asdict(raster.stretch) if raster.stretch else None,
        "model_version": model_version,
        "image": {"name": raster.name, "width": raster.width, "height": raster.height},
    }


def _gsd(detection: Detection) -> dict[str, Any]:
    """Without a standard error where there is no estimate."""
    spread = {} if detection.gsd_spread is None else {"spread": detection.gsd_spread}
    return {"value": detection.gsd, "source": detection.gsd_source, **spread}


def locate(rings: Sequence[Ring], raster: Raster | Frame) -> Location:
    """Geographic positions of outlines in pixels of a raster."""
    if raster.crs is None or raster.transform is None:
        return Location()
    # Imported late: PROJ is slow to import, and few images are georeferenced.
    from parking.data.georeference import placement

    middle = [(raster.width / 2, raster.height / 2)]
    points = np.array([middle[0], *(point for ring in rings for point in ring)], np.float64)
    a, b, c, d, e, f = raster.transform[:6]
    xs, ys = a * points[:, 0] + b * points[:, 1] + c, d * points[:, 0] + e * points[:, 1] + f
    try:
        way = placement(raster.crs, xs[0], ys[0])
        longitudes, latitudes = way.to_wgs84(xs, ys)
    except ValueError as error:
        warning = f"The image says it lies in {raster.crs}, which cannot be placed on Earth: {error}."
        logger.warning("'{}': {}", raster.name, warning)
        return Location(warnings=(warning,))
    # In one piece with the image's middle, and so beyond 180 degrees where the image crosses them.
    longitudes = longitudes - 360 * np.round((longitudes - longitudes[0]) / 360)
    # 8 decimals of a degree are a millimetre.
    placed = zip(longitudes[1:].round(8).tolist(), latitudes[1:].round(8).tolist(), strict=True)
    return Location(tuple(tuple(next(placed) for _ in ring) for ring in rings), way.accuracy_m, _caveats(way))


def closed(ring: Ring) -> list[list[float]]:
    """The ring in GeoJSON's form: counterclockwise, with its first position repeated."""
    points = ring if LinearRing(ring).is_ccw else ring[::-1]
    return [list(point) for point in (*points, points[0])]


def _caveats(way: "Placement") -> tuple[str, ...]:
    """A warning if a position may be that of the neighbouring place."""
    if way.accuracy_m is not None and way.accuracy_m <= _GOOD_M:
        return ()
    off = "an unknown distance" if way.accuracy_m is None else f"{way.accuracy_m:g} m"
    caveat = f"Positions may be off by {off}, because of the change of datum; a place is about 2.5 m wide."
    return (" ".join(filter(None, [caveat, way.missing])),)


def _flat(ring: Ring) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [closed(ring)]}


def _on_globe(ring: Ring) -> dict[str, Any]:
    """The geometry of an outline, cut where it crosses the 180th meridian (RFC 7946, 3.1.9)."""
    shape = Polygon(ring)
    west, _, east, _ = shape.bounds
    first, last = math.floor((west + 180) / 360), math.ceil((east + 180) / 360)
    parts = []
    for turn in range(first, max(last, first + 1)):
        inside = shape & box(360 * turn - 180, -90, 360 * turn + 180, 90) if last - first > 1 else shape
        parts += [closed(part.exterior.coords[:-1]) for part in _polygons(translate(inside, -360.0 * turn))]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts}
    return {"type": "MultiPolygon", "coordinates": [[part] for part in parts]}


def _polygons(shape: BaseGeometry) -> Iterator[Polygon]:
    """The areas of a shape, without lines and points that it touches."""
    for part in getattr(shape, "geoms", [shape]):
        if isinstance(part, Polygon) and not part.is_empty:
            yield part
