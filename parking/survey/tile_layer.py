"""Common parts of WMS, WMTS and XYZ layers: address, capabilities, surveyed area, attribution, source."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from owslib.util import ServiceException
from pyproj import CRS, Transformer
from rasterio.transform import Affine

from parking.data.georeference import ground_pixel
from parking.errors import SurveyError
from parking.files import write_whole
from parking.survey.grid import Bounds, middle, width
from parking.survey.http import Access, Answer, fetch, shown
from parking.survey.sources import Source
from parking.survey.tile_cache import cache_folder, complaint
from parking.survey.tile_service import TileService

MERCATOR = "EPSG:3857"
HALF_WORLD = 20037508.342789244
"""Metres of Web Mercator from its centre to its edge."""
_AROUND = 0.02
"""Degrees by which tiles extend beyond the area, for the margins of blocks."""
_WIDEST_KM = 100.0
"""Largest extent of a layer that is surveyed without an area."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a survey asks servers for."""

    bounds: Bounds | None
    """Longitudes and latitudes of the area; None for the whole layer."""
    gsd: float
    """Metres per pixel."""
    access: Access
    cache: str
    """Folder in which answers are kept."""
    attribution: str = ""
    """Attribution in place of the server's own."""
    asset: str = ""
    """Name of the asset of STAC items; empty to choose by role."""


def layer_source(tiles: TileService, bounds: Bounds, name: str, url: str, attribution: str, day: date | None) -> Source:
    """The source of the part of a layer that is surveyed.

    Args:
        tiles: of the whole layer.
        bounds: longitudes and latitudes of the surveyed part; tiles extend a little beyond.
        name: for people.
        url: address of the layer.
        attribution: that results must show.
        day: on which the imagery was taken, if it is known.

    Raises:
        SurveyError: the layer has no tile there.
    """
    west, south, east, north = bounds
    more = _AROUND / math.cos(math.radians(min(80.0, max(abs(south), abs(north)))))
    around = (max(-180, west - more), max(-90, south - _AROUND), min(180, east + more), min(90, north + _AROUND))
    transformer = Transformer.from_crs("OGC:CRS84", tiles.crs, always_xy=True)
    part = tiles.within(transformer.transform_bounds(*around, densify_pts=21))
    if not (part.columns and part.rows):
        raise SurveyError(f"{shown(url)} has no tile in the area. Check the order of --bbox: west,south,east,north.")
    return Source(
        path=f"{tiles.kind.lower()}:{shown(url)}",
        name=name,
        checksum=tiles.key,
        crs=tiles.crs,
        transform=tuple(part.transform(part.column, part.row))[:6],
        width=part.columns * part.tile_width,
        height=part.rows * part.tile_height,
        overview=-1,
        dtype="uint8",
        bands=(1, 2, 3),
        palette=False,
        masked=True,
        gsd=ground_size(tiles.crs, bounds, tiles.step),
        date=day,
        bounds=bounds,
        attribution=attribution,
        service=part,
    )


def surveyed_area(wanted: Wanted, boxes: Sequence[Bounds | None], url: str) -> Bounds:
    """Longitudes and latitudes of the surveyed part: the intersection of the area and the layers.

    Raises:
        SurveyError: it is empty, or no area is given and the layers are too large.
    """
    known = [box for box in boxes if box is not None]
    layer = (
        (min(b[0] for b in known), min(b[1] for b in known), max(b[2] for b in known), max(b[3] for b in known))
        if known
        else (-180.0, -90.0, 180.0, 90.0)
    )
    if wanted.bounds is None:
        height_km = (layer[3] - layer[1]) * 111
        width_km = width(layer[0], layer[2]) * 111 * math.cos(math.radians((layer[1] + layer[3]) / 2))
        if max(height_km, width_km) > _WIDEST_KM:
            raise SurveyError(
                f"{shown(url)} spans {width_km:.0f} by {height_km:.0f} km: give --area or --bbox, so that not all "
                "of it is asked for."
            )
        return layer
    one = wanted.bounds
    both = (max(one[0], layer[0]), max(one[1], layer[1]), min(one[2], layer[2]), min(one[3], layer[3]))
    if both[0] >= both[2] or both[1] >= both[3]:
        raise SurveyError(
            f"The area touches no imagery of {shown(url)}, which spans "
            f"{','.join(f'{value:.4f}' for value in layer)}. Check the order of --bbox: west,south,east,north."
        )
    return both


def split_address(url: str, ours: set[str]) -> tuple[str, dict[str, str]]:
    """An address without the parameters that we fill in, and the values given for these, by lower-case name."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = {key.lower(): value for key, value in query if key.lower() in ours}
    rest = [(key, value) for key, value in query if key.lower() not in ours]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(rest), "")), given


def required(given: Mapping[str, str], name: str, url: str) -> str:
    """The value of a parameter that an address must have.

    Raises:
        SurveyError: it is missing, or empty.
    """
    if not given.get(name):
        raise SurveyError(f"{shown(url)} names no layer: add {name}=NAME to the address.")
    return given[name]


def with_params(base: str, more: dict[str, str]) -> str:
    """An address with more parameters."""
    return f"{base}{'&' if '?' in base else '?'}{urlencode(more, safe=':/;,')}"


def capabilities(parser: Any, url: str, wanted: Wanted, *version: str) -> Any:  # noqa: ANN401 - owslib has no types
    """The capabilities of a server; requested once, and kept if they can be parsed.

    Args:
        parser: owslib's class for the kind of service.
        url: of the document.
        wanted: what the survey asks for.
        version: of the service, if the parser needs it.

    Raises:
        SurveyError: there is no answer, or it is no capabilities document.
    """
    wanted.access.check(url)
    kept = cache_folder(wanted.cache) / f"capabilities-{hashlib.sha256(url.encode()).hexdigest()[:16]}.xml"
    answer = Answer(kept.read_bytes(), "") if kept.is_file() else fetch(url, wanted.access)
    if answer is None:
        raise SurveyError(f"There is nothing at {shown(url)}. Correct the address.")
    try:
        found = parser(url, *version, xml=answer.body)
    except ServiceException as error:
        raise SurveyError(f"{shown(url)} refuses to say what it has: {error}. Check the address.") from None
    except NotImplementedError:
        raise SurveyError(f"{shown(url)} names a version that is not known: leave it out, or give 1.1.1.") from None
    except Exception:  # noqa: BLE001 - lxml's errors, and whatever owslib trips over in what is no such document
        raise SurveyError(
            f"{shown(url)} does not say what it has{complaint(answer)}. Check the address in QGIS."
        ) from None
    if not kept.is_file():
        write_whole(kept, answer.body)
    return found


def named_layer(contents: dict[str, Any], name: str, url: str) -> Any:  # noqa: ANN401 - owslib has no types
    """A layer by its name.

    Raises:
        SurveyError: there is none; the message lists those that there are.
    """
    if name not in contents:
        raise SurveyError(f"{shown(url)} has no layer '{name}'; it has {some_of(list(contents))}.")
    return contents[name]


def some_of(names: Sequence[str]) -> str:
    """The first of many names, for a message."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "none"


def provider(service: Any) -> str:  # noqa: ANN401 - owslib has no types
    """Provider and access constraints, from the capabilities."""
    name = getattr(getattr(service, "provider", None), "name", None)
    terms = getattr(getattr(service, "identification", None), "accessconstraints", None)
    said = [str(one).strip() for one in (name, terms) if one and str(one).strip().lower() not in ("none", "")]
    return ". ".join(dict.fromkeys(said))


def credit(wanted: Wanted, said: Sequence[str]) -> str:
    """The attribution: that of the survey's request, otherwise the server's."""
    return wanted.attribution or "; ".join(dict.fromkeys(one for one in said if one))


def day_of(text: str) -> date | None:
    """The day of a time stamp; None if it is none."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def is_north_first(crs: str) -> bool:
    """Whether the first axis of a CRS is the northing or latitude."""
    return CRS.from_user_input(crs).axis_info[0].direction == "north"


def ground_size(crs: str, bounds: Bounds, step: float) -> float:
    """Metres on the ground of a pixel of `step` CRS units, at the centre of an area."""
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(*middle(bounds))
    pixel = ground_pixel(crs, Affine(step, 0, x, 0, -step, y), 1, 1)
    return math.inf if pixel is None else pixel.gsd


def picture_format(offered: Sequence[str]) -> str:
    """The first of the formats that is offered: PNG, which marks where a layer has no data, before WebP and JPEG."""
    return next(
        (f for f in ("image/png", "image/png; mode=24bit", "image/webp", "image/jpeg") if f in offered), "image/png"
    )
