"""Groups of scenes that show the same ground, which a split must not separate."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import shapely
from loguru import logger

from parking.data.imagery import Raster
from parking.errors import DatasetError

__all__ = ["connected", "footprint", "overlapping", "places_by_name", "same"]

_USUAL = (
    re.compile(r"^(.+?)[ _-]*r(?:ow)?[_-]?\d+[ _-]*c(?:ol)?[_-]?\d+$", re.IGNORECASE),  # tiles of one place, in rows
    re.compile(r"^(.+?)[ _-]*x[_-]?\d+[ _-]*y[_-]?\d+$", re.IGNORECASE),  # and at offsets
    re.compile(r"^(.*?frame)s?[ _-]*\d+$", re.IGNORECASE),  # frames of one film
    re.compile(r"^(DJI[_-]\d+)[_-]\d+$"),  # frames of one flight
    re.compile(r"(?:^|[_-])(MOS\d?)\d\d$"),  # the KIT AIS data set: frames are numbered on, a hundred a place
)
"""Names of images that begin with the name of a place."""

_FEWEST = 4
"""Fewest groups for which the guess by names is used: with less, there would be no test scenes."""

_SHARED = 0.02
"""Share of overlap beyond which images show the same ground; adjoining tiles overlap a little by rounding."""


def places_by_name(keys: Sequence[str], pattern: str = "") -> list[Hashable]:
    """For each image the place in its name; None if there is none.

    Args:
        keys: paths of the images below their source.
        pattern: regular expression, searched for in a path without its extension; the place is the text of its groups,
            or of the whole match. By default, the usual names of tiles and frames are recognised.

    Raises:
        DatasetError: the pattern is no regular expression, or is found in no name.
    """
    stems = [str(PurePosixPath(key).with_suffix("")) for key in keys]
    if not pattern:
        usual = [_usual(PurePosixPath(stem).name) for stem in stems]
        return _unless_too_few(usual)
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DatasetError(f"--group-by '{pattern}' is no regular expression ({error}).") from error
    found: list[Hashable] = [
        None if (hit := search(stem)) is None else (pattern, hit.groups() or hit.group()) for stem in stems
    ]
    if stems and not any(found):
        raise DatasetError(f"--group-by '{pattern}' is found in no name; one of them is '{stems[0]}'.")
    return found


def _usual(stem: str) -> Hashable:
    return next((hit.group(1) for pattern in _USUAL if (hit := pattern.search(stem))), None)


def _unless_too_few(places: list[Hashable]) -> list[Hashable]:
    """The guessed places, unless nearly all images would be one group: a tiled mosaic must still be split."""
    groups = len(set(places) - {None}) + places.count(None)
    if groups >= min(_FEWEST, len(places)):
        return places
    logger.warning(
        "By their names all images show {} places, too few to test on: neighbours may be learnt from and tested on. "
        "Say with --group-by which images belong together.",
        groups,
    )
    return [None] * len(places)


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` items the smallest index in its connected component."""
    parents = list(range(count))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for pair in pairs:
        one, other = sorted(map(root, pair))
        parents[other] = one
    return [root(index) for index in range(count)]


def same(places: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs that connect all items with the same place; None is no place."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        if place is not None:
            members[place].append(index)
    return [(group[0], index) for group in members.values() for index in group[1:]]


def footprint(raster: Raster) -> shapely.Polygon | None:
    """Footprint of a georeferenced image in degrees; None for other images."""
    if raster.crs is None or raster.transform is None:
        return None
    # Imported late: GDAL's bindings take half a second, and most images are no GeoTIFF.
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    corners = [(x * raster.width, y * raster.height) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    xs, ys = zip(*(raster.transform * corner for corner in corners), strict=True)
    try:
        east, north = transform(raster.crs, "EPSG:4326", xs, ys)
    except CRSError:
        return None
    # Across the 180th meridian the corners span the globe: such an image is compared by its fingerprint only.
    sound = np.isfinite([*east, *north]).all() and max(east) - min(east) < 180
    return shapely.Polygon(zip(east, north, strict=True)) if sound else None


def overlapping(footprints: Sequence[shapely.Polygon | None]) -> list[tuple[int, int]]:
    """Pairs of images that show some of the same ground: more than `_SHARED` of the smaller one."""
    numbers = [number for number, one in enumerate(footprints) if one is not None]
    tree = shapely.STRtree([footprints[number] for number in numbers])
    pairs = tree.query(tree.geometries, predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    one, other = tree.geometries[pairs[:, 0]], tree.geometries[pairs[:, 1]]
    smaller = np.minimum(shapely.area(one), shapely.area(other))
    found = pairs[shapely.area(shapely.intersection(one, other)) > _SHARED * smaller]
    return [(numbers[here], numbers[there]) for here, there in found.tolist()]
