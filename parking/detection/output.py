"""Answers for people and maps: GeoJSON, and an overlay to look at."""

from typing import Any

import cv2
import numpy as np
from loguru import logger
from numpy.typing import NDArray
from shapely import LinearRing

from parking.data.annotations import Ring
from parking.data.imagery import Raster
from parking.detection.detector import Detection

_UNSURE = np.array([255, 159, 28], np.float64)
_SURE = np.array([46, 232, 134], np.float64)
_FILL = 0.35
_DARK = (16, 20, 24)

_PIXELS = (
    'ENGCRS["Pixels of the image, y downwards",EDATUM["Upper left corner of the image"],CS[Cartesian,2],'
    'AXIS["x",unspecified],AXIS["y",unspecified],LENGTHUNIT["pixel",1]]'
)
IMAGE_CRS = {"type": "name", "properties": {"name": _PIXELS}}
"""Member `crs` of a collection in pixels: without it GDAL, and so every GIS, takes them for degrees of WGS 84."""


def to_geojson(detection: Detection, raster: Raster, model_version: str = "") -> dict[str, Any]:
    """The places as a FeatureCollection (RFC 7946), with what a reader must know of them as foreign members.

    Where the raster is georeferenced, positions are longitude and latitude in WGS 84. Where it is not, they are
    pixels of the image with y downwards; `coordinate_system` says `image`, and `crs` says it to a GIS.

    Args:
        detection: what was found.
        raster: where it was found.
        model_version: of the model that found it.
    """
    rings = [spot.ring for spot in detection.spots]
    placed = _to_wgs84(rings, raster)
    features = [
        {
            "type": "Feature",
            "id": number,
            "geometry": {"type": "Polygon", "coordinates": [_closed(ring)]},
            "properties": {"confidence": spot.confidence, "area_m2": spot.area_m2},
        }
        for number, (spot, ring) in enumerate(zip(detection.spots, placed or rings, strict=True), start=1)
    ]
    return {
        "type": "FeatureCollection",
        **({"crs": IMAGE_CRS} if placed is None else {}),
        "features": features,
        "coordinate_system": "image" if placed is None else "WGS 84",
        "count": detection.count,
        "count_interval": list(detection.count_interval),
        "gsd": {"value": detection.gsd, "source": detection.gsd_source},
        "imagery_date": detection.imagery_date.isoformat() if detection.imagery_date else "unknown",
        "model_version": model_version,
        "image": {"name": raster.name, "width": raster.width, "height": raster.height},
    }


def overlay(raster: Raster, detection: Detection) -> NDArray[np.uint8]:
    """The image with its free places drawn in: orange where unsure, green where sure, and the count as a caption.

    Returns:
        (H, W, 3) RGB, the raster's own size.
    """
    drawn = raster.pixels.copy()
    stroke = max(1, round(min(raster.height, raster.width) / 400))
    # Where fills meet, the outlines tell the places apart; so they go on last.
    fill = drawn.copy()
    for spot in detection.spots:
        cv2.fillPoly(fill, [_fixed(spot.ring)], _colour(spot.confidence), lineType=cv2.LINE_AA, shift=4)
    cv2.addWeighted(fill, _FILL, drawn, 1 - _FILL, 0, dst=drawn)
    for thickness, dark in ((stroke + 2, True), (stroke, False)):
        for spot in detection.spots:
            colour = _DARK if dark else _colour(spot.confidence)
            cv2.polylines(drawn, [_fixed(spot.ring)], True, colour, thickness, cv2.LINE_AA, shift=4)
    low, high = detection.count_interval
    places = "place" if detection.count == 1 else "places"
    _caption(drawn, f"{detection.count} free {places} ({low} to {high})")
    return drawn


def _to_wgs84(rings: list[Ring], raster: Raster) -> list[Ring] | None:
    """Rings as longitude and latitude; None where the raster's place on Earth is not known."""
    if raster.crs is None or raster.transform is None:
        return None
    a, b, c, d, e, f = raster.transform
    points = np.array([point for ring in rings for point in ring], dtype=np.float64).reshape(-1, 2)
    xs, ys = a * points[:, 0] + b * points[:, 1] + c, d * points[:, 0] + e * points[:, 1] + f
    # Here, because it needs GDAL: see `read_raster`.
    from parking.data.geotiff import to_wgs84

    try:
        longitudes, latitudes = to_wgs84(raster.crs, xs.tolist(), ys.tolist())
    except ValueError as error:
        logger.warning("'{}' says it lies in {}, which cannot be placed on Earth: {}", raster.name, raster.crs, error)
        return None
    # 8 decimals of a degree are a millimetre.
    placed = iter([(round(float(x), 8), round(float(y), 8)) for x, y in zip(longitudes, latitudes, strict=True)])
    return [tuple(next(placed) for _ in ring) for ring in rings]


def _closed(ring: Ring) -> list[list[float]]:
    """The ring as GeoJSON wants it: counterclockwise, its first position repeated."""
    points = ring if LinearRing(ring).is_ccw else ring[::-1]
    return [list(point) for point in (*points, points[0])]


def _fixed(ring: Ring) -> NDArray[np.int32]:
    """Sixteenths of a pixel; OpenCV counts from the centre of the first pixel, a ring from its corner."""
    return np.round((np.array(ring) - 0.5) * 16).astype(np.int32)


def _colour(confidence: float) -> tuple[int, int, int]:
    red, green, blue = (round(float(value)) for value in _UNSURE + confidence * (_SURE - _UNSURE))
    return red, green, blue


def _caption(drawn: NDArray[np.uint8], text: str) -> None:
    """A line of text in the upper left corner, on a dark ground; left out where it would cover the image."""
    height, width = drawn.shape[:2]
    scale = max(0.45, min(height, width) / 900)
    thickness = max(1, round(scale * 1.6))
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = up // 2
    if across + 2 * margin > width or up + below + 2 * margin > height / 3:
        return
    cv2.rectangle(drawn, (0, 0), (across + 2 * margin, up + below + 2 * margin), _DARK, cv2.FILLED)
    place = (margin, margin + up)
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
