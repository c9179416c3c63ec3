"""Layers of a Web Map Tile Service (WMTS): tiles of the matrix that is fine enough, by REST or by parameters (KVP)."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
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
    required,
    some_of,
    split_address,
    surveyed_area,
    with_params,
)
from parking.survey.tile_service import TileService

_METRES_PER_DEGREE = 111319.49079327358
"""Metres by which the standard gives the scale of matrices in degrees (OGC 07-057r7, 6.1)."""
_PIXEL = 0.00028
"""Metres of a pixel on a screen, by which the standard defines scale denominators."""
_PARAMETERS = {"service", "request", "version", "layer", "style", "format", "tilematrixset"}
"""Parameters of a WMTS address that are filled in here; any other is passed on."""


@dataclass(frozen=True)
class _Matrix:
    """The tile matrix that is read."""

    set_name: str
    crs: str
    matrix: Any
    """owslib's `TileMatrix`."""
    step: float
    """Edge of a pixel in units of the CRS."""


def wmts_source(url: str, wanted: Wanted) -> Source:
    """A layer of a WMTS as a source.

    Args:
        url: address of the service or of its capabilities, with `layer`, and optionally `tilematrixset`, `style` and
            `format`.
        wanted: what the survey asks for.

    Raises:
        SurveyError: the server does not answer, has no such layer, or the layer does not reach the area.
    """
    base, given = split_address(url, _PARAMETERS)
    name = required(given, "layer", url)
    service = capabilities(WebMapTileService, _document(base), wanted)
    layer = named_layer(service.contents, name, url)
    bounds = surveyed_area(wanted, [getattr(layer, "boundingBoxWGS84", None)], url)
    chosen = _choose_matrix(service, layer, given.get("tilematrixset"), bounds, wanted.gsd, url)
    values = _template_values(layer, chosen, given)
    picture = _picture_format(layer, given)
    template = _rest_template(layer, picture, values) or _kvp_template(base, name, values | {"format": picture}, url)
    wanted.access.check(template)
    tiles = _tile_service(template, layer, chosen, wanted)
    attribution = credit(wanted, [provider(service)])
    return layer_source(tiles, bounds, layer.title or layer.name, url, attribution, day_of(values.get("time", "")))


def _document(base: str) -> str:
    """The address of the capabilities."""
    if _is_document(base):
        return base
    return with_params(base, {"service": "WMTS", "request": "GetCapabilities", "version": "1.0.0"})


def _is_document(base: str) -> bool:
    """Whether an address is that of a capabilities document, and not of a service that takes parameters."""
    return urlsplit(base).path.lower().endswith(".xml")


def _choose_matrix(
    service: Any,  # noqa: ANN401 - owslib has no types
    layer: Any,  # noqa: ANN401
    given: str | None,
    bounds: Bounds,
    gsd: float,
    url: str,
) -> _Matrix:
    """The coarsest matrix that is fine enough; of several sets, one that is true to scale."""
    names = [name for name in layer.tilematrixsetlinks if name in service.tilematrixsets]
    if given and given not in names:
        raise SurveyError(f"{shown(url)} has no tile matrix set '{given}'; it has {some_of(names)}.")
    found = []
    for name in [given] if given else names:
        with suppress(ProjError):
            found.append(_best_of_set(name, service.tilematrixsets[name], bounds, gsd))
    if not found:
        raise SurveyError(f"{shown(url)} has no tiles in a coordinate reference system that is known.")
    return min(found, key=lambda one: one[0])[1]


def _best_of_set(name: str, matrices: Any, bounds: Bounds, gsd: float) -> tuple[tuple[bool, bool, float], _Matrix]:  # noqa: ANN401
    """The best matrix of a set with its rank, lower is better. Raises ProjError where the CRS is not known."""
    crs = short_crs(matrices.crs)
    unit = _METRES_PER_DEGREE if CRS.from_user_input(crs).is_geographic else metres_per_unit(crs)
    steps = {m.identifier: m.scaledenominator * _PIXEL / unit for m in matrices.tilematrix.values()}
    ground = {key: ground_size(crs, bounds, step) for key, step in steps.items()}
    fine = [key for key, value in ground.items() if value <= gsd * 1.01]
    key = max(fine, key=ground.__getitem__) if fine else min(ground, key=ground.__getitem__)
    # First one that is at most twice as coarse, then one that is true to scale, then the least to be read.
    rank = (not fine and ground[key] > 2 * gsd, not is_true_to_scale(crs, bounds), abs(math.log(ground[key] / gsd)))
    return rank, _Matrix(name, crs, matrices.tilematrix[key], steps[key])


def _template_values(layer: Any, chosen: _Matrix, given: Mapping[str, str]) -> dict[str, str]:  # noqa: ANN401
    """Values for the names in the address of a tile, all but its column and row."""
    style = given.get("style") or next((s for s, about in layer.styles.items() if about["isDefault"]), None)
    style = style or next(iter(layer.styles), "default")
    dimensions = {key.lower(): about["default"] for key, about in layer.dimensions.items()}
    return {"style": style, "tilematrixset": chosen.set_name, "tilematrix": chosen.matrix.identifier} | dimensions


def _picture_format(layer: Any, given: Mapping[str, str]) -> str:  # noqa: ANN401
    picture: str = given.get("format") or picture_format(layer.formats)
    return layer.formats[0] if layer.formats and picture not in layer.formats else picture


def _kvp_template(base: str, name: str, values: dict[str, str], url: str) -> str:
    """The address of a tile by parameters, with `{x}` and `{y}` to be filled in."""
    if _is_document(base):
        raise SurveyError(f"{shown(url)} has no address for tiles of '{name}'. Give that of its KVP service.")
    fixed = {"service": "WMTS", "request": "GetTile", "version": "1.0.0", "layer": name}
    return with_params(base, fixed | values) + "&tilecol={x}&tilerow={y}"


def _rest_template(layer: Any, picture: str, filled: dict[str, str]) -> str | None:  # noqa: ANN401
    offered = [one for one in layer.resourceURLs if one["resourceType"] == "tile"]
    if not offered:
        return None
    chosen = next((one for one in offered if one["format"] == picture), offered[0])["template"]
    values = filled | {"tilecol": "{x}", "tilerow": "{y}"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1].lower(), found[0]), chosen)


def _tile_service(template: str, layer: Any, chosen: _Matrix, wanted: Wanted) -> TileService:  # noqa: ANN401
    matrix = chosen.matrix
    left, top = matrix.topleftcorner[::-1] if is_north_first(chosen.crs) else matrix.topleftcorner
    limits = layer.tilematrixsetlinks[chosen.set_name].tilematrixlimits.get(matrix.identifier)
    return TileService(
        kind="WMTS",
        template=template,
        crs=chosen.crs,
        left=left,
        top=top,
        step=chosen.step,
        tile_width=matrix.tilewidth,
        tile_height=matrix.tileheight,
        column=limits.mintilecol if limits else 0,
        row=limits.mintilerow if limits else 0,
        columns=limits.maxtilecol + 1 - limits.mintilecol if limits else matrix.matrixwidth,
        rows=limits.maxtilerow + 1 - limits.mintilerow if limits else matrix.matrixheight,
        cache=wanted.cache,
        access=wanted.access,
    )
