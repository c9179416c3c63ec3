"""STAC items and collections as sources: their rasters, with date and attribution."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pystac
from pystac.stac_io import DefaultStacIO

from parking.errors import SurveyError
from parking.s3 import S3Store
from parking.survey.grid import Bounds
from parking.survey.http import Access, fetch, locate, shown
from parking.survey.plan import overlap
from parking.survey.remote import REMOTE
from parking.survey.sources import Entry, Source, describe_rasters
from parking.survey.tile_layer import Wanted

PREFIX = "stac:"
_SUFFIXES = (".json", ".geojson")
_ROLES = ("visual", "data")
"""Roles of assets that are imagery, in order: true colours before raw data."""
_PICTURES = {
    pystac.MediaType.COG, pystac.MediaType.GEOTIFF, pystac.MediaType.TIFF, pystac.MediaType.JPEG2000, None,
    "image/vnd.stac.geotiff; cloud-optimized=true",
}  # fmt: skip
_MOST_ITEMS = 100_000
_PAGE = 250
"""Items per page of a server's answer."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A raster asset of an item."""

    item: pystac.Item
    providers: Sequence[pystac.Provider]
    """Providers of the item, otherwise of its collection."""
    href: str


def is_stac(place: str) -> bool:
    """Whether a source is a STAC document."""
    return place.lower().startswith(PREFIX) or place.lower().endswith(_SUFFIXES)


def stac_sources(
    place: str, gsd: float, wanted: Wanted, *, crs: str | None = None, known: dict[str, str] | None = None
) -> list[Source]:
    """The rasters of an item, an item collection, a collection or a catalogue that touch the area.

    Args:
        place: a file or an address, with or without `stac:`.
        gsd: metres per pixel to read.
        wanted: what the survey asks for.
        crs: CRS of rasters that do not state one.
        known: checksums of files; new ones are added.

    Raises:
        SurveyError: it cannot be read, lists no raster in the area, or names a host that is not allowed.
    """
    href = place[len(PREFIX) :] if place.lower().startswith(PREFIX) else place
    with _reading_by(_Io(wanted.access, from_server=_is_address(href))) as io:
        items = list(_items(href, wanted, io))
    listed = [
        _Listed(item, item.common_metadata.providers or providers, found)
        for item, providers in items
        if wanted.bounds is None or item.bbox is None or overlap(_flat(item.bbox), wanted.bounds)
        for found in _assets(item, wanted.asset)
    ]
    if not listed:
        raise SurveyError(f"'{shown(href)}' lists no raster in the area. Name another, or an asset with --asset.")
    entries = [_entry(one, href, wanted.access) for one in listed]
    sources = describe_rasters(entries, gsd, crs=crs, known=known, access=wanted.access)
    return [
        source.model_copy(
            update={"date": _day(one.item) or source.date, "attribution": wanted.attribution or _named(one.providers)}
        )
        for source, one in zip(sources, listed, strict=True)
    ]


class _Io(DefaultStacIO):
    """Reads local files and documents of allowed hosts; a document from a host cannot refer to local files."""

    def __init__(self, access: Access, *, from_server: bool) -> None:
        super().__init__()
        self._access, self._from_server = access, from_server

    def read_text_from_href(self, href: str) -> str:
        """The text of a file or an address."""
        if _is_address(href):
            answer = fetch(href, self._access)
            if answer is None:
                raise SurveyError(f"There is nothing at {shown(href)}. Correct the address.")
            return answer.body.decode()
        _refuse_files(href, self._from_server)
        try:
            return Path(urlsplit(href).path if href.startswith("file:") else href).read_text(encoding="utf-8")
        except OSError as error:
            raise SurveyError(f"'{href}' cannot be read ({error.strerror}). Correct the path.") from None


@contextmanager
def _reading_by(io: _Io) -> Iterator[_Io]:
    """Make pystac read only through this, whatever a document links to."""
    pystac.StacIO.set_default(lambda: io)
    try:
        yield io
    finally:
        pystac.StacIO.set_default(DefaultStacIO)


def _items(href: str, wanted: Wanted, io: _Io) -> Iterator[tuple[pystac.Item, Sequence[pystac.Provider]]]:
    """Items, each with the providers of its collection."""
    try:
        document = json.loads(io.read_text_from_href(href))
        if document.get("type") == "FeatureCollection":
            yield from ((item, ()) for item in _pages(document, href, io))
            return
        found = pystac.read_dict(document, href=href, stac_io=io)
        if isinstance(found, pystac.Item):
            yield found, ()
            return
        if not isinstance(found, pystac.Catalog):
            raise SurveyError(f"'{shown(href)}' is no item, collection or catalogue of STAC.")
        found.set_self_href(href)
        served = found.get_single_link("items")
        if served is not None and served.absolute_href is not None:
            asked = _asked(served.absolute_href, wanted.bounds)
            yield from ((item, _of_collection(found)) for item in _pages(None, asked, io))
        else:
            yield from ((item, _of_collection(parent)) for parent, _, items in found.walk() for item in items)
    except (ValueError, KeyError, AttributeError, TypeError, pystac.STACError, pystac.STACTypeError) as error:
        if isinstance(error.__cause__, SurveyError):  # an error of our own reader, wrapped by pystac
            raise error.__cause__ from None
        raise SurveyError(f"'{shown(href)}' is no document of STAC ({type(error).__name__}: {error}).") from None


def _asked(href: str, bounds: Bounds | None) -> str:
    """The address of a server's items within the area."""
    more = {"limit": str(_PAGE)} | ({"bbox": ",".join(map(repr, bounds))} if bounds else {})
    return f"{href}{'&' if '?' in href else '?'}{urlencode(more, safe=',')}"


def _pages(document: dict[str, Any] | None, href: str, io: _Io) -> Iterator[pystac.Item]:
    """Items of a collection of items, page by page."""
    count, seen = 0, set[str]()
    while href not in seen:
        seen.add(href)
        document = json.loads(io.read_text_from_href(href)) if document is None else document
        for feature in document["features"]:
            item = io.stac_object_from_dict(feature, preserve_dict=False)
            if not isinstance(item, pystac.Item):
                raise SurveyError(f"'{shown(href)}' lists something that is no item of STAC.")
            if item.get_self_href() is None:
                item.set_self_href(href)
            yield item
            count += 1
            if count >= _MOST_ITEMS:
                raise SurveyError(f"'{shown(href)}' lists over {_MOST_ITEMS} items: give --area or --bbox.")
        following = (link for link in document.get("links", []) if link.get("rel") == "next")
        href = next((link["href"] for link in following if link.get("method", "GET") == "GET"), href)
        document = None


def _assets(item: pystac.Item, name: str) -> list[str]:
    """Addresses of the assets to read: the one of that name, otherwise the one with a role of imagery."""
    if name:
        chosen = [item.assets[name]] if name in item.assets else []
    else:
        pictures = [asset for asset in item.assets.values() if asset.media_type in _PICTURES]
        by_role = ([asset for asset in pictures if asset.has_role(role)] for role in _ROLES)
        chosen = next((found for found in by_role if found), [])
    if len(chosen) > 1:
        names = [key for key, asset in item.assets.items() if asset in chosen]
        raise SurveyError(f"The item '{item.id}' has several rasters ({', '.join(names)}): choose with --asset.")
    return [href for asset in chosen if (href := asset.get_absolute_href()) is not None]


def _entry(one: _Listed, document: str, access: Access) -> Entry:
    """Path of the raster, behind redirects."""
    href, name = one.href, one.item.id
    if _is_address(href):
        found, tag = locate(href, access)
        return f"{REMOTE}{found}", name, tag
    if href.startswith("s3://"):
        bucket, _, key = href.removeprefix("s3://").partition("/")
        tag = next((tag for found, tag in S3Store(f"s3://{bucket}").tags(key) if found == key), "")
        return f"/vsis3/{bucket}/{key}", name, tag
    _refuse_files(href, _is_address(document))
    path = Path(urlsplit(href).path if href.startswith("file:") else href)
    if not path.is_file():
        raise SurveyError(f"The item '{name}' names '{path}', which is not there. Copy it to its place.")
    return str(path), name, ""


def _refuse_files(href: str, from_server: bool) -> None:
    if from_server or href.startswith("/vsi"):
        raise SurveyError(f"A STAC document names '{href}', which is no address of a server: it is not read.")


def _is_address(href: str) -> bool:
    return href.startswith(("http://", "https://"))


def _flat(bbox: list[float]) -> Bounds:
    """The box without heights."""
    west, south, east, north = bbox if len(bbox) == 4 else (bbox[0], bbox[1], bbox[3], bbox[4])
    return west, south, east, north


def _day(item: pystac.Item) -> date | None:
    start = item.datetime or item.common_metadata.start_datetime
    return start.date() if start else None


def _of_collection(parent: pystac.Catalog) -> Sequence[pystac.Provider]:
    return parent.providers or () if isinstance(parent, pystac.Collection) else ()


def _named(providers: Sequence[pystac.Provider]) -> str:
    return ", ".join(dict.fromkeys(provider.name for provider in providers))
