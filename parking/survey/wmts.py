"""Layers of a Web Map Tile Service: tiles of the matrix that is fine enough, by REST or by parameters."""

import math
import re
from typing import Any
from urllib.parse import urlsplit

from owslib.wmts import WebMapTileService
from pyproj import CRS
from pyproj.exceptions import ProjError

from parking.errors import SurveyError
from parking.survey.grid import Bounds, is_true_to_scale, metres_per_unit
from parking.survey.http import shown
from parking.survey.sources import Source, short_crs
from parking.survey.tile_layer import (
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

_METRES_PER_DEGREE = 111319.49079327358
"""By which the scales of tiles in degrees are meant, by the standard."""
_PIXEL = 0.00028
"""Metres of a pixel on the screen that scales are meant for."""


def wmts_source(url: str, wanted: Wanted) -> Source:
    """A layer of a WMTS as a source.

    Args:
        url: of the service or its capabilities, with `layer`; `tilematrixset`, `style`, `format` as far as wanted.
        wanted: by the survey.

    Raises:
        SurveyError: the server does not answer, or has no such layer, or not here.
    """
    base, given = split_address(url, {"service", "request", "version", "layer", "style", "format", "tilematrixset"})
    if not given.get("layer"):
        raise SurveyError(f"{shown(url)} names no layer: add layer=NAME to the address.")
    is_document = urlsplit(base).path.lower().endswith(".xml")
    asked = (
        base
        if is_document
        else with_params(base, {"service": "WMTS", "request": "GetCapabilities", "version": "1.0.0"})
    )
    service = capabilities(WebMapTileService, asked, wanted)
    layer = named_layer(service.contents, given["layer"], url)
    bounds = surveyed_area(wanted, [getattr(layer, "boundingBoxWGS84", None)], url)
    chosen = _matrix(service, layer, given.get("tilematrixset"), bounds, wanted.gsd, url)
    name, crs, matrix, step = chosen
    style = given.get("style") or next((s for s, about in layer.styles.items() if about["isDefault"]), None)
    style = style or next(iter(layer.styles), "default")
    picture = given.get("format") or picture_format(layer.formats)
    if picture not in layer.formats and layer.formats:
        picture = layer.formats[0]
    filled = {"style": style, "tilematrixset": name, "tilematrix": matrix.identifier}
    filled |= {key.lower(): about["default"] for key, about in layer.dimensions.items()}
    template = _rest_template(layer, picture, filled)
    if template is None:
        if is_document:
            raise SurveyError(
                f"{shown(url)} has no address for tiles of '{given['layer']}'. Give that of its KVP service."
            )
        asked_for = {"service": "WMTS", "request": "GetTile", "version": "1.0.0", "layer": given["layer"]}
        template = with_params(base, asked_for | filled | {"format": picture}) + "&tilecol={x}&tilerow={y}"
    wanted.access.check(template)
    left, top = matrix.topleftcorner[::-1] if is_north_first(crs) else matrix.topleftcorner
    limits = layer.tilematrixsetlinks[name].tilematrixlimits.get(matrix.identifier)
    tiles = TileService(
        kind="WMTS",
        template=template,
        crs=crs,
        left=left,
        top=top,
        step=step,
        tile_width=matrix.tilewidth,
        tile_height=matrix.tileheight,
        column=limits.mintilecol if limits else 0,
        row=limits.mintilerow if limits else 0,
        columns=limits.maxtilecol + 1 - limits.mintilecol if limits else matrix.matrixwidth,
        rows=limits.maxtilerow + 1 - limits.mintilerow if limits else matrix.matrixheight,
        cache=wanted.cache,
        access=wanted.access,
    )
    day = day_of(filled.get("time", ""))
    return layer_source(tiles, bounds, layer.title or layer.name, url, credit(wanted, [provider(service)]), day)


def _matrix(
    service: Any,  # noqa: ANN401 - owslib has no types
    layer: Any,  # noqa: ANN401
    given: str | None,
    bounds: Bounds,
    gsd: float,
    url: str,
) -> tuple[str, str, Any, float]:
    """Set, CRS, matrix and pixel of the tiles: metres that are true first, and the coarsest that is fine enough."""
    names = [name for name in layer.tilematrixsetlinks if name in service.tilematrixsets]
    if given and given not in names:
        raise SurveyError(f"{shown(url)} has no tile matrix set '{given}'; it has {some_of(names)}.")
    found = []
    for name in [given] if given else names:
        matrices = service.tilematrixsets[name]
        try:
            crs = short_crs(matrices.crs)
            known = CRS.from_user_input(crs)
            unit = _METRES_PER_DEGREE if known.is_geographic else metres_per_unit(crs)
            steps = {m.identifier: m.scaledenominator * _PIXEL / unit for m in matrices.tilematrix.values()}
            ground = {key: ground_size(crs, bounds, step) for key, step in steps.items()}
        except ProjError:
            continue
        fine = [key for key, value in ground.items() if value <= gsd * 1.01]
        key = max(fine, key=ground.__getitem__) if fine else min(ground, key=ground.__getitem__)
        # At most twice as coarse, else another set; then true metres, then the least that has to be read.
        rank = (not fine and ground[key] > 2 * gsd, not is_true_to_scale(crs, bounds), abs(math.log(ground[key] / gsd)))
        found.append((rank, (name, crs, matrices.tilematrix[key], steps[key])))
    if not found:
        raise SurveyError(f"{shown(url)} has no tiles in a coordinate reference system that is known.")
    return min(found, key=lambda one: one[0])[1]


def _rest_template(layer: Any, picture: str, filled: dict[str, str]) -> str | None:  # noqa: ANN401
    offered = [one for one in layer.resourceURLs if one["resourceType"] == "tile"]
    if not offered:
        return None
    chosen = next((one for one in offered if one["format"] == picture), offered[0])["template"]
    values = filled | {"tilecol": "{x}", "tilerow": "{y}"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1].lower(), found[0]), chosen)
