"""Clean outlines: clipped to their image, valid, and of some area."""

from collections.abc import Iterator

from shapely import make_valid
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

Ring = tuple[tuple[float, float], ...]
"""A polygon's outline: x, y in pixels of the image, (0, 0) its upper left corner; the first point is not repeated."""

MIN_AREA = 4.0
"""Square pixels below which an outline is a slip of the mouse."""


def clip(ring: Ring, width: int, height: int) -> list[Ring]:
    """The parts of a polygon that lie in an image, as valid outlines; none where it has no area there."""
    if len(ring) < 3:
        return []
    whole, frame = Polygon(ring), box(0, 0, width, height)
    if whole.is_valid and whole.area >= MIN_AREA and frame.covers(whole):
        return [ring]
    inside = make_valid(whole).intersection(frame)
    return [_outline(part) for part in _polygons(inside) if part.area >= MIN_AREA]


def area(ring: Ring) -> float:
    """Square pixels inside an outline, by the shoelace formula."""
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(ring, ring[1:] + ring[:1], strict=True))) / 2


def _polygons(geometry: BaseGeometry) -> Iterator[Polygon]:
    if isinstance(geometry, Polygon):
        yield geometry
    for part in getattr(geometry, "geoms", ()):
        if isinstance(part, Polygon | MultiPolygon):
            yield from _polygons(part)


def _outline(polygon: Polygon) -> Ring:
    return tuple((round(x, 3), round(y, 3)) for x, y in polygon.exterior.coords[:-1])
