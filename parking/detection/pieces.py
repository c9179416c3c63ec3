"""The free shapes of a mask, split where their outline turns inwards, so that each is one row of bays."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient
from shapely.ops import split

RAYS = 48
"""Directions that are tried for a cut."""

STARTS = 6
"""Inward corners that a cut is tried from, the deepest first."""

TRIES = 8
"""Cuts that are tried before a shape is left as it is, the best first."""

MAX_CORNERS = 400
"""Shapes with more corners are left whole: they are no rows, and cutting them takes long."""

MENDS_TWO = 0.6
"""A cut between two inward corners counts as this much of its length."""

FILL = 0.88
"""Share of its rectangle from which a shape counts as one row."""


def free_pieces(free: NDArray[np.uint8], bay_width: float, bay_length: float, min_area: float) -> Iterator[Polygon]:
    """Shapes of about one row each.

    Args:
        free: (H, W), 1 where free.
        bay_width: of one bay, in pixels.
        bay_length: of one bay, in pixels.
        min_area: shapes below are dropped, in square pixels.

    Yields:
        Simple polygons without holes, in pixels with (0, 0) at the upper left corner of the mask.
    """
    height, width = free.shape
    image = shapely.box(0, 0, width, height)
    for outline in _outlines(_without_threads(free, bay_width), bay_width, bay_width * bay_length):
        for shape in _polygons(outline.intersection(image)):
            if shape.area >= min_area:
                yield from _split(shape, bay_width, bay_length)


def _without_threads(free: NDArray[np.uint8], bay_width: float) -> NDArray[np.uint8]:
    """Take away what is too thin to be part of a place, and would tie places together."""
    radius = int(0.1 * bay_width)
    if radius < 1:
        return free
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(free, cv2.MORPH_OPEN, kernel).astype(np.uint8)


def _outlines(free: NDArray[np.uint8], bay_width: float, bay_area: float) -> Iterator[Polygon]:
    """Polygons of the connected shapes; holes smaller than half a bay are noise and are filled."""
    contours, tree = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for index, contour in enumerate(contours):
        if tree[0][index][3] >= 0:  # a hole, met again with the shape round it
            continue
        outline = _outline(contour, 0.06 * bay_width)
        holes = [
            # A hole's contour runs on the free pixels round it: half a pixel inwards to their edge.
            Polygon(hole[:, 0] + 0.5).buffer(-0.5, join_style="mitre").simplify(0.06 * bay_width)
            for hole in _holes(contours, tree[0], index)
            if cv2.contourArea(hole) > bay_area / 2
        ]
        yield from _polygons(outline.difference(shapely.union_all(holes)) if holes else outline)


def _holes(contours: Sequence[NDArray[Any]], tree: NDArray[np.int32], index: int) -> Iterator[NDArray[Any]]:
    child = tree[index][2]
    while child >= 0:
        yield contours[child]
        child = tree[child][0]


def _outline(contour: NDArray[Any], tolerance: float) -> Polygon:
    """The outer edge of a contour's pixels; OpenCV's contours run through their centres."""
    points = contour[:, 0] + 0.5
    line = Polygon(points) if len(points) > 2 else LineString(points) if len(points) == 2 else Point(points[0])
    edge = line.buffer(0.5, join_style="mitre", cap_style="square")
    return edge.simplify(min(tolerance, 0.1 * math.sqrt(edge.area)))


def _polygons(shape: BaseGeometry) -> list[Polygon]:
    """The polygons of any geometry."""
    parts = getattr(shape, "geoms", [shape])
    return [orient(part) for part in parts if isinstance(part, Polygon) and not part.is_empty]


def _split(shape: Polygon, bay_width: float, bay_length: float) -> Iterator[Polygon]:
    waiting = [shape]
    while waiting:
        piece = waiting.pop()
        parts = _cut(piece, bay_width, bay_length)
        if parts:
            waiting.extend(parts)
        else:
            yield piece


def _cut(piece: Polygon, bay_width: float, bay_length: float) -> list[Polygon]:
    """Two or more parts, or none where the piece is one row already or cannot be cut well."""
    if len(piece.exterior.coords) > MAX_CORNERS:
        return []
    smallest = 0.3 * bay_width * bay_length
    for cut in _cuts(piece, 0.35 * bay_width, 2.2 * bay_length):
        parts = _polygons(split(piece, cut))
        if len(parts) > 1 and min(part.area for part in parts) >= smallest:
            return parts
    return []


def _cuts(piece: Polygon, depth: float, longest: float) -> list[LineString]:
    """Lines to cut along, the best first."""
    if piece.interiors:
        return _cuts_through_hole(piece)
    ring = np.array(piece.exterior.coords)
    (_, (a, b), _) = cv2.minAreaRect(ring.astype(np.float32))
    if piece.area >= FILL * a * b:
        return []
    corners = ring[:-1]
    inward = _inward_corners(piece, corners, depth)
    scored = [
        cut for start in inward[:STARTS] for cut in _cuts_from(corners, start, corners[inward]) if cut[0] <= longest
    ]
    scored.sort(key=lambda cut: cut[0])
    return [_beyond(cut[1], cut[2]) for cut in scored[:TRIES]]


def _inward_corners(piece: Polygon, corners: NDArray[np.float64], depth: float) -> NDArray[np.int64]:
    """Corners that turn inwards and lie deeper than `depth` inside the convex hull, the deepest first."""
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    depths = shapely.distance(shapely.points(corners), piece.convex_hull.exterior)
    found = np.flatnonzero((turn < 0) & (depths > depth))
    return found[np.argsort(-depths[found], kind="stable")]


Cut = tuple[float, NDArray[np.float64], NDArray[np.float64]]
"""Cost (a length in pixels), start and end."""


def _cuts_from(corners: NDArray[np.float64], start: int, targets: NDArray[np.float64]) -> list[Cut]:
    """Ways to cut from one corner to the other side: straight ahead in many directions, and to inward corners.

    A short cut is a good one; a cut between two inward corners mends both, and most often is where two shapes touch.
    """
    point = corners[start]
    back, ahead = corners[start - 1] - point, corners[(start + 1) % len(corners)] - point
    # The outline runs counterclockwise, so the inside lies between the edge ahead and the edge back.
    first = math.atan2(ahead[1], ahead[0])
    span = (math.atan2(back[1], back[0]) - first) % (2 * math.pi)
    angles = first + span * np.linspace(0.05, 0.95, RAYS)
    # The two edges made longer: how a person would cut an L.
    angles = np.append(angles, [first + math.pi, first + span + math.pi])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = _reach(point, directions, corners)
    cuts = [(float(r), point, point + r * d) for r, d in zip(reach, directions, strict=True) if np.isfinite(r)]
    return cuts + _cuts_to(point, first, span, corners, targets)


def _cuts_to(
    point: NDArray[np.float64], first: float, span: float, corners: NDArray[np.float64], targets: NDArray[np.float64]
) -> list[Cut]:
    """Cuts to those of the targets that can be seen from the point."""
    ways = targets - point
    lengths = np.hypot(ways[:, 0], ways[:, 1])
    turned = (np.arctan2(ways[:, 1], ways[:, 0]) - first) % (2 * math.pi)
    near = (lengths > 1e-6) & (turned > 0.02 * span) & (turned < 0.98 * span)
    reach = _reach(point, ways[near] / lengths[near, None], corners)
    seen = reach >= lengths[near] - 1e-3
    return [
        (MENDS_TWO * float(length), point, target)
        for length, target in zip(lengths[near][seen], targets[near][seen], strict=True)
    ]


def _cuts_through_hole(piece: Polygon) -> list[LineString]:
    """Lines through the largest hole, from outside to outside: they open it to two bent rows."""
    hole = max(piece.interiors, key=lambda ring: Polygon(ring).area)
    middle = np.array(Polygon(hole).centroid.coords[0])
    angles = np.linspace(0, math.pi, RAYS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outside = np.array(piece.exterior.coords)[:-1]
    ends, starts = _reach(middle, directions, outside), _reach(middle, -directions, outside)
    order = np.argsort(ends + starts, kind="stable")[:TRIES]
    return [
        _beyond(middle - starts[i] * directions[i], middle + ends[i] * directions[i])
        for i in order
        if np.isfinite(ends[i] + starts[i])
    ]


def _reach(
    point: NDArray[np.float64], directions: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far one can go from a point before the outline is met; infinite where it is not.

    Args:
        point: (2,).
        directions: (R, 2), of length 1.
        corners: (E, 2), the outline, not closed.

    Returns:
        (R,).
    """
    edges = np.roll(corners, -1, axis=0) - corners
    offsets = corners - point
    across = directions[:, None, 0] * edges[None, :, 1] - directions[:, None, 1] * edges[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (offsets[:, 0] * edges[:, 1] - offsets[:, 1] * edges[:, 0])[None] / across
        share = (offsets[None, :, 0] * directions[:, None, 1] - offsets[None, :, 1] * directions[:, None, 0]) / across
        met = (along > 1e-6) & (share >= -1e-9) & (share <= 1 + 1e-9)
    return np.asarray(np.where(met, along, np.inf).min(axis=1), dtype=np.float64)


def _beyond(start: NDArray[np.float64], end: NDArray[np.float64]) -> LineString:
    """The line from start to end and a hair further: a line that just touches the outline cuts nothing."""
    step = (end - start) / max(float(np.hypot(*(end - start))), 1e-9) * 1e-3
    return LineString([start - step, end + step])
