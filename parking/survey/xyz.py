"""Tiles by address, as web maps have them: at the zoom that is fine enough, in Web Mercator."""

import math
import re
from urllib.parse import urlsplit

from pyproj import Transformer

from parking.errors import SurveyError
from parking.survey.grid import Bounds
from parking.survey.http import shown
from parking.survey.sources import Source
from parking.survey.tile_cache import tile_file
from parking.survey.tile_layer import HALF_WORLD, MERCATOR, Wanted, credit, ground_size, layer_source
from parking.survey.tile_service import TileService

_DEEPEST_ZOOM, _ZOOMS_TRIED = 23, 5
_TILE = 256


def xyz_source(url: str, wanted: Wanted) -> Source:
    """Tiles by address as a source.

    Args:
        url: with `{z}`, `{x}`, and `{y}` or, counted from the south, `{-y}`.
        wanted: by the survey.

    Raises:
        SurveyError: it cannot be filled in, or there is no tile in the area.
    """
    if left := set(re.findall(r"\{[^}]*\}", url)) - {"{x}", "{y}", "{-y}", "{z}"}:
        raise SurveyError(
            f"{shown(url)} has {', '.join(sorted(left))}, which cannot be filled in: name one host, and use {{x}}, "
            "{y} (or {-y}) and {z}."
        )
    if "{z}" not in url or not ("{y}" in url or "{-y}" in url):
        raise SurveyError(f"{shown(url)} needs {{x}}, {{y}} (or {{-y}}) and {{z}} in place of a tile's numbers.")
    if wanted.bounds is None:
        raise SurveyError(f"{shown(url)} does not say where it ends: give --area or --bbox.")
    grounds = {z: ground_size(MERCATOR, wanted.bounds, _zoom_step(z)) for z in range(_DEEPEST_ZOOM + 1)}
    best = next((z for z, ground in grounds.items() if ground <= wanted.gsd * 1.01), _DEEPEST_ZOOM)
    for zoom in range(best, max(-1, best - _ZOOMS_TRIED), -1):
        tiles = _zoom(url, zoom, wanted)
        if any(tile_file(tiles, *at) is not None for at in _probes(tiles, wanted.bounds)):
            name = urlsplit(url).hostname or "XYZ"
            return layer_source(tiles, wanted.bounds, name, url, credit(wanted, []), None)
    raise SurveyError(
        f"{shown(url)} has no tile in the area at zoom {best - _ZOOMS_TRIED + 1} to {best}. Check the address, and the "
        "order of --bbox: west,south,east,north."
    )


def _zoom_step(zoom: int) -> float:
    return 2 * HALF_WORLD / _TILE / (1 << zoom)


def _zoom(url: str, zoom: int, wanted: Wanted) -> TileService:
    count = 2**zoom
    return TileService(
        kind="XYZ",
        template=url.replace("{z}", str(zoom)),
        crs=MERCATOR,
        left=-HALF_WORLD,
        top=HALF_WORLD,
        step=_zoom_step(zoom),
        tile_width=_TILE,
        tile_height=_TILE,
        columns=count,
        rows=count,
        all_rows=count,
        cache=wanted.cache,
        access=wanted.access,
    )


def _probes(tiles: TileService, bounds: Bounds) -> list[tuple[int, int]]:
    """Tiles by which to see whether a zoom is there: in the middle, and half-way to the corners."""
    west, south, east, north = bounds
    shares = [(0.5, 0.5), *((x, y) for x in (0.25, 0.75) for y in (0.25, 0.75))]
    points = [(west + (east - west) * x, south + (north - south) * y) for x, y in shares]
    to_mercator = Transformer.from_crs("OGC:CRS84", tiles.crs, always_xy=True)
    placed = [to_mercator.transform(*point) for point in points]
    edge = tiles.step * _TILE
    return list(
        dict.fromkeys((math.floor((x - tiles.left) / edge), math.floor((tiles.top - y) / edge)) for x, y in placed)
    )
