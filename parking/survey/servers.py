"""Layers of servers as sources of a survey: which kind an address is of."""

from parking.errors import SurveyError
from parking.survey.sources import Source
from parking.survey.tile_layer import Wanted
from parking.survey.wms import wms_source
from parking.survey.wmts import wmts_source
from parking.survey.xyz import xyz_source

PREFIXES = ("wms:", "wmts:", "xyz:")


def is_address(place: str) -> bool:
    """Whether a source is a layer of a server."""
    return place.lower().startswith(PREFIXES) or "{x}" in place


def tile_source(place: str, wanted: Wanted) -> Source:
    """The source of a layer, by its address.

    Args:
        place: `wms:https://…?layers=…`, `wmts:https://…?layer=…`, or `https://…/{z}/{x}/{y}.png`, with or without
            `xyz:`.
        wanted: by the survey.

    Raises:
        SurveyError: the host is not allowed, does not answer, or has no such layer; the message says which.
    """
    kind, _, url = place.partition(":") if place.lower().startswith(PREFIXES) else ("xyz", "", place)
    wanted.access.check(url)
    if wanted.bounds is not None and wanted.bounds[0] > wanted.bounds[2]:
        raise SurveyError("The area crosses the antimeridian, and servers do not: survey either side on its own.")
    match kind.lower():
        case "wms":
            return wms_source(url, wanted)
        case "wmts":
            return wmts_source(url, wanted)
        case _:
            return xyz_source(url, wanted)
