"""Clean outlines: clipped to their image, valid, and of some area."""

from collections.abc import Iterator

from shapely import make_valid
from shapely.geometry import LineString, MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import split

__all__ = ["MIN_AREA", "CrossingOutlineError", "Ring", "area", "clip", "rings_of"]

Ring = tuple[tuple[float, float], ...]
"""A polygon's outline: x, y in pixels of the image, (0, 0) its upper left corner; the first point is not repeated."""

MIN_AREA = 4.0
"""Square pixels below which an outline is a slip of the mouse."""


_MENDABLE_POINTS = 100
"""Outlines of more points are not untangled: that takes seconds each for some hundred."""

_SLIP = 0.1
"""Share of the ground that a slip of the mouse may cut off; beyond it, what was meant is a guess."""


class CrossingOutlineError(ValueError):
    """An outline crosses itself in a way that leaves open which ground is meant."""


def clip(ring: Ring, width: int, height: int) -> list[Ring]:
    """The parts of a polygon that lie in an image, as valid outlines; none where it has no area there.

    Where an outline crosses itself by a slip of the mouse, the small loop is dropped. This one rule holds for what is
    ingested and for corrections alike.

    Raises:
        CrossingOutlineError: the loops are large, as in a figure of eight, or the outline has too many points to tell.
    """
    if len(ring) < 3:
        return []
    whole, frame = Polygon(ring), box(0, 0, width, height)
    if whole.is_valid and whole.area >= MIN_AREA and frame.covers(whole):
        return [ring]
    inside = _mended(whole).intersection(frame)
    parts = (part for polygon in _polygons(inside) for part in _without_holes(polygon))
    return [_outline(part) for part in parts if part.area >= MIN_AREA]


def _mended(polygon: Polygon) -> Polygon:
    """A polygon without the loops of a slip; a hole that was drawn round by a seam stays a hole."""
    if polygon.is_valid:
        return polygon
    reason = "the outline crosses or touches itself: draw it without crossing lines"
    if len(polygon.exterior.coords) > _MENDABLE_POINTS:
        raise CrossingOutlineError(reason)
    parts = list(_polygons(make_valid(polygon, method="structure", keep_collapsed=False)))
    largest = max(parts, key=lambda part: part.area, default=Polygon())
    if largest.area < (1 - _SLIP) * sum(part.area for part in parts):
        raise CrossingOutlineError(reason)
    return largest


def rings_of(geometry: BaseGeometry) -> list[Ring]:
    """Outlines of the polygons in a geometry; one with a hole is cut through it, since an outline alone has none."""
    return [_outline(part) for polygon in _polygons(geometry) for part in _without_holes(polygon)]


def area(ring: Ring) -> float:
    """Square pixels inside an outline, by the shoelace formula."""
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(ring, ring[1:] + ring[:1], strict=True))) / 2


def _polygons(geometry: BaseGeometry) -> Iterator[Polygon]:
    if isinstance(geometry, Polygon):
        yield geometry
    for part in getattr(geometry, "geoms", ()):
        if isinstance(part, Polygon | MultiPolygon):
            yield from _polygons(part)


def _without_holes(polygon: Polygon) -> Iterator[Polygon]:
    """Parts that an outline alone can tell: cut through each hole, as of an island in a row that was drawn round it."""
    if not polygon.interiors:
        yield polygon
        return
    _, bottom, _, top = polygon.bounds
    across = Polygon(polygon.interiors[0]).centroid.x
    for part in _polygons(split(polygon, LineString([(across, bottom - 1), (across, top + 1)]))):
        yield from _without_holes(part)


def _outline(polygon: Polygon) -> Ring:
    return tuple((round(x, 3), round(y, 3)) for x, y in polygon.exterior.coords[:-1])
