"""Which scenes show the same ground, so that they never fall on two sides of a split."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import shapely
from loguru import logger

from parking.data.imagery import Raster
from parking.errors import DatasetError

_USUAL = (
    re.compile(r"^(.+?)[ _-]*r(?:ow)?[_-]?\d+[ _-]*c(?:ol)?[_-]?\d+$", re.IGNORECASE),  # tiles of one place, in rows
    re.compile(r"^(.+?)[ _-]*x[_-]?\d+[ _-]*y[_-]?\d+$", re.IGNORECASE),  # and at offsets
    re.compile(r"^(.*?frame)s?[ _-]*\d+$", re.IGNORECASE),  # frames of one film
    re.compile(r"^(DJI[_-]\d+)[_-]\d+$"),  # frames of one flight
    re.compile(r"(?:^|[_-])(MOS\d?)\d\d$"),  # the KIT AIS data set: frames are numbered on, a hundred a place
)
"""Names of images whose beginning says what place they show."""

_FEWEST = 4
"""Groups, below which a guess by names would leave nothing to test on."""

_SHARED = 0.02
"""Tiles that were cut edge to edge share a little by rounding; beyond it they show the same ground."""


def places_by_name(keys: Sequence[str], pattern: str = "") -> list[Hashable]:
    """For each image the place that its name tells; None where it tells none.

    Args:
        keys: paths of the images below their source.
        pattern: regular expression that is searched for in a path without its extension; the place is what its groups
            hold, or all of it where it has none. Without one, the usual names of tiles and frames are known.

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
    """Guessed places, unless nearly all images would be one: a mosaic that was cut into tiles still has to be split."""
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
    """For each of `count` things the smallest number of those that it is joined to, directly or through others."""
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
    """Pairs that join all that have the same place; None is no place."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        if place is not None:
            members[place].append(index)
    return [(group[0], index) for group in members.values() for index in group[1:]]


def footprint(raster: Raster) -> shapely.Polygon | None:
    """The ground of a georeferenced image in degrees; None where it does not say."""
    if raster.crs is None or raster.transform is None:
        return None
    # GDAL's bindings take half a second to import, and most images are no GeoTIFF.
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    corners = [(x * raster.width, y * raster.height) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    xs, ys = zip(*(raster.transform * corner for corner in corners), strict=True)
    try:
        east, north = transform(raster.crs, "EPSG:4326", xs, ys)
    except CRSError:
        return None
    # Across the 180th meridian the corners span the globe: such an image is compared by its look alone.
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
