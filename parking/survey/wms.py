"""Layers of a Web Map Service: asked for in squares of the survey's own grid, where the server knows its CRS."""

from collections.abc import Sequence
from typing import Any

from owslib.wms import WebMapService
from pyproj import CRS
from pyproj.exceptions import ProjError

from parking.errors import SurveyError
from parking.survey.grid import Bounds, is_true_to_scale, local_crs, metres_per_unit, middle
from parking.survey.http import shown
from parking.survey.sources import Source
from parking.survey.tile_layer import (
    HALF_WORLD,
    MERCATOR,
    Wanted,
    capabilities,
    credit,
    day_of,
    ground_size,
    is_north_first,
    layer_source,
    named_layer,
    picture_format,
    provider,
    some_of,
    split_address,
    surveyed_area,
    with_params,
)
from parking.survey.tile_service import TileService

_TILE = 1024
"""Pixels along the edge of what is asked for at once."""
_EVERYWHERE = 1 << 40
_FINEST = 27
"""Of the powers of two by which pixels are as large as those of usual tiles."""


def wms_source(url: str, wanted: Wanted) -> Source:
    """A layer of a WMS, or several on top of each other, as a source.

    Args:
        url: its address, with `layers`; `time`, `styles`, `format`, `crs` and `version` as far as they are wanted.
        wanted: by the survey.

    Raises:
        SurveyError: the server does not answer, or has no such layer, or not here.
    """
    base, given = split_address(
        url, {"service", "request", "version", "layers", "styles", "format", "crs", "srs", "bbox", "width", "height",
              "time", "transparent"}
    )  # fmt: skip
    if not given.get("layers"):
        raise SurveyError(f"{shown(url)} names no layer: add layers=NAME to the address.")
    version = given.get("version", "1.3.0")
    asked = with_params(base, {"service": "WMS", "request": "GetCapabilities", "version": version})
    service = capabilities(WebMapService, asked, wanted, version)
    layers = [named_layer(service.contents, name, url) for name in given["layers"].split(",")]
    bounds = surveyed_area(wanted, [layer.boundingBoxWGS84 for layer in layers], url)
    crs = _crs_of(given.get("crs") or given.get("srs"), layers, bounds, url)
    formats: list[str] = next((op.formatOptions for op in service.operations if op.name == "GetMap"), [])
    template = with_params(
        base,
        {
            "service": "WMS", "request": "GetMap", "version": version, "layers": given["layers"],
            "styles": given.get("styles", ""), "crs" if version >= "1.3" else "srs": crs,
            "format": given.get("format") or picture_format(formats), "transparent": given.get("transparent", "TRUE"),
            "width": str(_TILE), "height": str(_TILE), **({"time": given["time"]} if "time" in given else {}),
        },
    ) + "&bbox={bbox}"  # fmt: skip
    tiles = TileService(
        kind="WMS",
        template=template,
        crs=crs,
        left=0.0,
        top=0.0,
        step=_step(crs, bounds, wanted.gsd),
        tile_width=_TILE,
        tile_height=_TILE,
        column=-_EVERYWHERE // 2,
        row=-_EVERYWHERE // 2,
        columns=_EVERYWHERE,
        rows=_EVERYWHERE,
        north_first=version >= "1.3" and is_north_first(crs),
        cache=wanted.cache,
        access=wanted.access,
    )
    said = [_attribution(layer, service) for layer in layers]
    name = ", ".join(dict.fromkeys(layer.title or layer.name for layer in layers))
    return layer_source(tiles, bounds, name, url, credit(wanted, said), day_of(given.get("time", "")))


def _crs_of(given: str | None, layers: Sequence[Any], bounds: Bounds, url: str) -> str:
    """What is asked for in: metres that are true here, so that nothing is resampled twice; else Web Mercator."""
    offered: set[str] = set.intersection(*({str(crs).upper() for crs in layer.crsOptions} for layer in layers))
    if given:
        if given.upper() not in offered:
            raise SurveyError(f"{shown(url)} has no {given}; it has {some_of(sorted(offered))}.")
        return given.upper()
    wanted = (local_crs(bounds), *sorted(offered))
    true = (crs for crs in wanted if crs in offered and _is_true(crs, bounds))
    found = next(true, None) or next((crs for crs in (MERCATOR, "EPSG:4326") if crs in offered), None)
    if found is None:
        raise SurveyError(f"{shown(url)} has no usual coordinate reference system; it has {some_of(sorted(offered))}.")
    return found


def _is_true(crs: str, bounds: Bounds) -> bool:
    try:
        where = CRS.from_user_input(crs).area_of_use
    except ProjError:
        return False
    longitude, latitude = middle(bounds)
    # A conic projection is true all along its latitudes, but is nobody's on another continent.
    is_here = where is not None and where.west <= longitude <= where.east and where.south <= latitude <= where.north
    return is_here and is_true_to_scale(crs, bounds)


def _attribution(layer: Any, service: Any) -> str:  # noqa: ANN401 - owslib has no types
    while layer is not None:
        if found := (getattr(layer, "attribution", None) or {}).get("title"):
            return str(found)
        layer = layer.parent
    return provider(service)


def _step(crs: str, bounds: Bounds, gsd: float) -> float:
    """Edge of a pixel in units of the CRS.

    Where that depends on the latitude, it goes in powers of two: an area that grows a little leaves all tiles in place.
    """
    if is_true_to_scale(crs, bounds):
        return gsd / metres_per_unit(crs)
    world = 360.0 if CRS.from_user_input(crs).is_geographic else 2 * HALF_WORLD
    steps = (world / 256 / (1 << zoom) for zoom in range(_FINEST))
    return next(step for step in steps if ground_size(crs, bounds, step) <= gsd * 1.01)
