"""Splits free shapes at concave corners, so that each part is about one row of bays."""

import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.ops import split

from parking.detection.polygonize import polygons
from parking.detection.rows import likeness

__all__ = ["split_to_rows"]

ROW = 0.88
"""Similarity to a row from which a shape is taken for one."""

GAIN = 0.03
"""Gain of similarity to rows from which a cut is made."""

RAYS = 48
"""Directions that are tried for a cut."""

STARTS = 4
"""Number of concave corners from which cuts are tried, the deepest first."""

TRIES = 2
"""Number of cuts from each of them that are evaluated, the shortest first."""

MENDS_TWO = 0.6
"""Factor for the length of a cut between two concave corners."""

MAX_CORNERS = 400
"""Shapes with more corners, including holes, are not split: they are no rows, and splitting them is slow."""


def split_to_rows(
    shape: Polygon, bay_width: float, bay_length: float, check: Callable[[], None] = lambda: None
) -> Iterator[Polygon]:
    """Split a free shape to parts of about one row each.

    An L, a T, a step or two touching rows have concave corners, where a person would cut along the shortest line that
    leaves rows on both sides. Short cuts from the deepest corners are tried, the one with the parts most similar to
    rows is made, and the parts are split in the same way as long as that improves them.

    Args:
        shape: a valid polygon, counterclockwise, in pixels.
        bay_width: of one bay, in pixels.
        bay_length: of one bay, in pixels.
        check: called before every cut; an exception that it raises ends the work.
    """
    waiting = [shape]
    while waiting:
        check()
        piece = waiting.pop()
        if shapely.get_num_coordinates(piece) > MAX_CORNERS:
            yield piece
            continue
        parts = _open_hole(piece) if piece.interiors else _cut(piece, bay_width, bay_length)
        if parts:
            waiting.extend(parts)
        else:
            yield piece


def _cut(piece: Polygon, bay_width: float, bay_length: float) -> list[Polygon]:
    """Two or more parts; none if the piece is one row already, or no cut improves it."""
    smallest = 0.3 * bay_width * bay_length
    if piece.area < 2 * smallest:
        return []
    best, parts = likeness(piece), []
    if best >= ROW:
        return []
    best += GAIN
    for line in _cuts(piece, 0.35 * bay_width, 2.2 * bay_length, smallest):
        tried = polygons(split(piece, line))
        fit = sum(part.area * likeness(part) for part in tried) / piece.area
        if len(tried) > 1 and fit > best:
            best, parts = fit, tried
    return parts


def _open_hole(piece: Polygon) -> list[Polygon]:
    """Cut through the largest hole, along the shortest line from outside to outside, into two bent rows."""
    hole = max(piece.interiors, key=lambda ring: float(Polygon(ring).area))
    middle = np.array(Polygon(hole).centroid.coords[0])
    angles = np.linspace(0, math.pi, RAYS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outside = np.array(piece.exterior.coords)[:-1]
    (ahead, _), (back, _) = _reach(middle, directions, outside), _reach(middle, -directions, outside)
    chosen = int(np.argmin(ahead + back))
    if not np.isfinite(ahead[chosen] + back[chosen]):
        return []
    way = directions[chosen]
    parts = polygons(split(piece, _beyond(middle - back[chosen] * way, middle + ahead[chosen] * way)))
    return parts if len(parts) > 1 else []


def _cuts(piece: Polygon, depth: float, longest: float, smallest: float) -> Iterator[LineString]:
    """Candidate lines for a cut."""
    corners = np.array(piece.exterior.coords)[:-1]
    inward = _inward_corners(piece, corners, depth)
    for start in inward[:STARTS]:
        ends, edges, costs = _ends_from(corners, start, corners[inward])
        areas = _areas_cut_off(corners, start, ends, edges)
        good = (costs <= longest) & (areas >= smallest) & (areas <= piece.area - smallest)
        order = np.flatnonzero(good)[np.argsort(costs[good], kind="stable")]
        yield from (_beyond(corners[start], ends[index]) for index in islice(order, TRIES))


def _inward_corners(piece: Polygon, corners: NDArray[np.float64], depth: float) -> NDArray[np.int64]:
    """Concave corners deeper than `depth` inside the convex hull, the deepest first."""
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    depths = shapely.distance(shapely.points(corners), piece.convex_hull.exterior)
    found = np.flatnonzero((turn < 0) & (depths > depth))
    return found[np.argsort(-depths[found], kind="stable")]


def _ends_from(
    corners: NDArray[np.float64], start: int, targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Possible ends of cuts from a corner: on the outline in many directions, and at other concave corners.

    Returns:
        Ends (K, 2), the edge of each (K,), and its cost (K,): the length of the cut, reduced if it ends at a concave
        corner, because that is most often where two shapes touch.
    """
    point = corners[start]
    back, ahead = corners[start - 1] - point, corners[(start + 1) % len(corners)] - point
    # The outline runs counterclockwise, so the inside lies between the edge ahead and the edge back.
    first = math.atan2(ahead[1], ahead[0])
    span = (math.atan2(back[1], back[0]) - first) % (2 * math.pi)
    ways = targets - point
    to_targets = np.arctan2(ways[:, 1], ways[:, 0])
    lengths = np.hypot(ways[:, 0], ways[:, 1])
    # The extensions of both edges, too, as a person would cut an L.
    fan = np.concatenate([first + span * np.linspace(0.05, 0.95, RAYS), [first + math.pi, first + span + math.pi]])
    angles = np.concatenate([fan, to_targets])
    reach, edges = _reach(point, np.stack([np.cos(angles), np.sin(angles)], axis=1), corners)
    inside = (angles - first) % (2 * math.pi) < span
    free = np.arange(len(angles)) < len(fan)
    goal = np.concatenate([np.zeros(len(fan)), lengths])
    meets = ~free & (goal > 0.5) & (np.abs(np.where(np.isfinite(reach), reach, -1.0) - goal) < 0.5)
    usable = np.isfinite(reach) & inside & (free | meets)
    ends = point + np.where(usable, reach, 0.0)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    costs = np.where(usable, reach * np.where(meets, MENDS_TWO, 1.0), np.inf)
    return ends, edges, costs


def _areas_cut_off(
    corners: NDArray[np.float64], start: int, ends: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Area of the part on one side of cuts from a corner to points on edges (the shoelace formula, summed once)."""
    ring = np.roll(corners, -start, axis=0)
    following = np.roll(ring, -1, axis=0)
    sums = np.concatenate([[0.0], np.cumsum(ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0])])
    last = (edges - start) % len(corners)
    to_end = ring[last, 0] * ends[:, 1] - ring[last, 1] * ends[:, 0]
    to_start = ends[:, 0] * ring[0, 1] - ends[:, 1] * ring[0, 0]
    return np.asarray(np.abs(sums[last] + to_end + to_start) / 2, dtype=np.float64)


def _reach(
    point: NDArray[np.float64], directions: NDArray[np.float64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances from a point to the outline along directions (ray casting).

    Args:
        point: (2,).
        directions: (R, 2), of length 1.
        corners: (E, 2), the outline, not closed.

    Returns:
        Distances (R,), infinite without intersection, and the intersected edges (R,).
    """
    edges = np.roll(corners, -1, axis=0) - corners
    offsets = corners - point
    across = directions[:, None, 0] * edges[None, :, 1] - directions[:, None, 1] * edges[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (offsets[:, 0] * edges[:, 1] - offsets[:, 1] * edges[:, 0])[None] / across
        share = (offsets[None, :, 0] * directions[:, None, 1] - offsets[None, :, 1] * directions[:, None, 0]) / across
        met = np.where((along > 1e-6) & (share >= -1e-9) & (share <= 1 + 1e-9), along, np.inf)
    return np.asarray(met.min(axis=1), dtype=np.float64), np.asarray(met.argmin(axis=1), dtype=np.int64)


def _beyond(start: NDArray[np.float64], end: NDArray[np.float64]) -> LineString:
    """The line from start to end, slightly extended: a line that only touches the outline cuts nothing."""
    step = (end - start) / max(float(np.hypot(*(end - start))), 1e-9) * 1e-3
    return LineString([start - step, end + step])
