"""All imagery of a survey: files, folders, buckets, STAC, and layers of servers."""

from collections.abc import Sequence

from parking.survey.servers import is_address, tile_source
from parking.survey.sources import Source, find_sources, overlap_order
from parking.survey.stac import is_stac, stac_sources
from parking.survey.tile_layer import Wanted


def find_imagery(
    places: Sequence[str], gsd: float, wanted: Wanted, *, crs: str | None = None, known: dict[str, str] | None = None
) -> list[Source]:
    """Describe every source; the topmost comes first, see `overlap_order`.

    Args:
        places: files, folders, `s3://` prefixes, documents of STAC, and addresses of layers.
        gsd: metres per pixel to read from files.
        wanted: what the survey asks servers for.
        crs: CRS of rasters that do not state one.
        known: checksums of files; new ones are added.

    Raises:
        SurveyError: nothing is there, or a source cannot be used; the message names it.
    """
    addresses = [place for place in dict.fromkeys(places) if is_address(place)]
    catalogues = [place for place in dict.fromkeys(places) if is_stac(place) and not is_address(place)]
    files = [place for place in places if not is_address(place) and not is_stac(place)]
    found = find_sources(files, gsd, crs=crs, known=known) if files else []
    for catalogue in catalogues:
        found += stac_sources(catalogue, gsd, wanted, crs=crs, known=known)
    found += [tile_source(address, wanted) for address in addresses]
    return sorted(found, key=overlap_order)
