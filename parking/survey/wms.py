"""Layers of a Web Map Service (WMS), requested in square tiles, in a CRS that is true to scale if there is one."""

from collections.abc import Mapping, Sequence
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
    required,
    some_of,
    split_address,
    surveyed_area,
    with_params,
)
from parking.survey.tile_service import TileService

_TILE = 1024
"""Pixels along the edge of one request."""
_EVERYWHERE = 1 << 40
"""Columns and rows of the grid of requests: more than the Earth has."""
_ZOOMS = 27
"""Zoom levels of web maps that are considered for the size of a pixel."""
_PARAMETERS = {
    *("service", "request", "version", "layers", "styles", "format", "crs", "srs"),
    *("bbox", "width", "height", "time", "transparent"),
}
"""Parameters of a WMS address that are filled in here; any other is passed on."""


def wms_source(url: str, wanted: Wanted) -> Source:
    """A layer of a WMS, or several on top of each other, as a source.

    Args:
        url: address of the service, with `layers`, and optionally `time`, `styles`, `format`, `crs` and `version`.
        wanted: what the survey asks for.

    Raises:
        SurveyError: the server does not answer, has no such layer, or the layer does not reach the area.
    """
    base, given = split_address(url, _PARAMETERS)
    names = required(given, "layers", url)
    version = given.get("version", "1.3.0")
    request = with_params(base, {"service": "WMS", "request": "GetCapabilities", "version": version})
    service = capabilities(WebMapService, request, wanted, version)
    layers = [named_layer(service.contents, name, url) for name in names.split(",")]
    bounds = surveyed_area(wanted, [layer.boundingBoxWGS84 for layer in layers], url)
    crs = _crs_of(given.get("crs") or given.get("srs"), layers, bounds, url)
    template = _map_template(base, given, version, crs, _picture_format(service, given))
    tiles = _tile_service(template, crs, _step(crs, bounds, wanted.gsd), version, wanted)
    attributions = [_attribution(layer, service) for layer in layers]
    title = ", ".join(dict.fromkeys(layer.title or layer.name for layer in layers))
    return layer_source(tiles, bounds, title, url, credit(wanted, attributions), day_of(given.get("time", "")))


def _picture_format(service: Any, given: Mapping[str, str]) -> str:  # noqa: ANN401 - owslib has no types
    offered: list[str] = next((op.formatOptions for op in service.operations if op.name == "GetMap"), [])
    return given.get("format") or picture_format(offered)


def _map_template(base: str, given: Mapping[str, str], version: str, crs: str, picture: str) -> str:
    """The address of a GetMap request, with `{bbox}` to be filled in."""
    fixed = {
        "service": "WMS",
        "request": "GetMap",
        "version": version,
        "layers": given["layers"],
        "styles": given.get("styles", ""),
        "crs" if version >= "1.3" else "srs": crs,
        "format": picture,
        "transparent": given.get("transparent", "TRUE"),
        "width": str(_TILE),
        "height": str(_TILE),
    }
    when = {"time": given["time"]} if "time" in given else {}
    return with_params(base, fixed | when) + "&bbox={bbox}"


def _tile_service(template: str, crs: str, step: float, version: str, wanted: Wanted) -> TileService:
    """Squares of one grid around the origin of the CRS: a WMS has no grid of its own."""
    return TileService(
        kind="WMS",
        template=template,
        crs=crs,
        left=0.0,
        top=0.0,
        step=step,
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


def _crs_of(given: str | None, layers: Sequence[Any], bounds: Bounds, url: str) -> str:
    """The CRS of the requests: true to scale here, so that nothing is resampled twice; else Web Mercator."""
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
    # A conic projection is true to scale along its latitudes even on continents that it is not meant for.
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

    Where the scale depends on the latitude, the edge is a power of two of the world's width: the tiles then stay in
    place if the area grows a little.
    """
    if is_true_to_scale(crs, bounds):
        return gsd / metres_per_unit(crs)
    world = 360.0 if CRS.from_user_input(crs).is_geographic else 2 * HALF_WORLD
    steps = (world / 256 / (1 << zoom) for zoom in range(_ZOOMS))
    return next(step for step in steps if ground_size(crs, bounds, step) <= gsd * 1.01)
