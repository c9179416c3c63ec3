"""Single bays and vehicles out of a map of their cores: one rectangle for each core.

A network that marks ground as free cannot tell where one bay ends and the next begins: adjoining bays are one shape. So
it also marks cores, the outlines drawn inwards by a share of their width, which never touch. Each core is one instance,
and its rectangle, grown by what was taken away, is the outline. All of it is local: a core's outline depends on the map
within some metres of it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CoreRules", "Rectangle", "core_boxes", "corners_of", "find_rectangles"]

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Where between the threshold and 1 a core is tried to fall apart into several."""

_LEAST_PART = 0.25
"""Area of a part, in those of the smallest core, from which it is a core of its own."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """An upright or turned rectangle, in pixels with (0, 0) at the image's upper left corner."""

    x: float
    y: float
    """Its centre."""

    length: float
    """Its longer side."""

    width: float
    """Its shorter side."""

    angle: float
    """Of the longer side against the x axis, in radians, in (-pi/2, pi/2]."""

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.length * self.width


@dataclass(frozen=True, slots=True)
class CoreRules:
    """What counts as a core, in pixels of the map."""

    threshold: float
    """Probability from which a pixel belongs to a core."""

    inset: float
    """Share of an outline's width that was taken away on each side to make its core."""

    min_area_px: float
    """Smallest outline that is kept."""

    usual_width_px: float
    """Shorter side of a usual outline: parts of a core that are too small for one are no cores of their own."""


def corners_of(rectangles: Sequence[Rectangle]) -> NDArray[np.float64]:
    """(N, 4, 2), the corners of each in order round it."""
    x, y, length, width, angle = np.array([(o.x, o.y, o.length, o.width, o.angle) for o in rectangles]).reshape(-1, 5).T
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (length / 2)[:, None]
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=-1) * (width / 2)[:, None]
    corners = [-along - across, along - across, along + across, across - along]
    return np.asarray(np.stack([x, y], axis=-1)[:, None] + np.stack(corners, axis=1), np.float64)


def find_rectangles(core: Floats, rules: CoreRules, check: Callable[[], None]) -> list[Rectangle]:
    """The outlines whose cores a map shows.

    Args:
        core: (H, W), the chance that a pixel belongs to a core.
        rules: what counts.
        check: called for every core; what it raises ends the work.
    """
    found = []
    for top, left, mask in _cores(core, rules):
        check()
        rectangle = _grown(_fitted(mask, top, left), rules.inset)
        if rectangle.area >= rules.min_area_px:
            found.append(rectangle)
    return found


def core_boxes(core: Floats, threshold: float) -> NDArray[np.int32]:
    """Left, top, right and bottom of every core to two pixels, (N, 4), those that touch as one.

    Args:
        core: (H, W), the chance that a pixel belongs to a core.
        threshold: probability from which it does.
    """
    # At half the resolution, which is four times as fast: cores lie further apart than that.
    height, width = core.shape
    half = cv2.resize(
        (core >= threshold).astype(np.uint8) * 255, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats((half > 0).astype(np.uint8), connectivity=4)
    left, top, across, down = stats[1:, :4].T
    return 2 * np.stack([left, top, left + across, top + down], axis=1)


def _cores(core: Floats, rules: CoreRules) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Each core as its upper left corner and its mask, cores that touch told apart."""
    smallest = _LEAST_PART * rules.usual_width_px**2 * (1 - 2 * rules.inset) * 2 * (1 - rules.inset)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (core >= rules.threshold).astype(np.uint8), connectivity=4
    )
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        window = slice(top, top + height), slice(left, left + width)
        mask = labels[window] == label
        for part in _parted(np.where(mask, core[window], 0.0), mask, rules.threshold, smallest):
            yield top, left, part


def _parted(
    core: Floats, mask: NDArray[np.bool_], threshold: float, smallest: float, level: int = 1
) -> list[NDArray[np.bool_]]:
    """A component, or the parts that it falls into at a higher threshold, each with the pixels nearest to it."""
    if level == len(LEVELS) or mask.sum() < 2 * smallest:
        return [mask]
    higher = threshold + (1 - threshold) * LEVELS[level]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (mask & (core >= higher)).astype(np.uint8), connectivity=4
    )
    seeds = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= smallest]
    if len(seeds) < 2:
        return _parted(core, mask, threshold, smallest, level + 1)
    owner = _nearest(np.asarray(labels, np.int32), seeds)
    return [part for seed in seeds for part in _parted(core, mask & (owner == seed), threshold, smallest, level + 1)]


def _nearest(labels: NDArray[np.int32], seeds: list[int]) -> NDArray[np.int32]:
    """(H, W), the seed that is nearest to each pixel."""
    _, places = cv2.distanceTransformWithLabels(
        (~np.isin(labels, seeds)).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # OpenCV numbers the seeds' pixels in its own order: read off which number lies on which seed.
    owners = np.zeros(int(places.max()) + 1, np.int32)
    on_seed = np.isin(labels, seeds)
    owners[places[on_seed]] = labels[on_seed]
    return np.asarray(owners[places], np.int32)


def _fitted(mask: NDArray[np.bool_], top: int, left: int) -> Rectangle:
    """The rectangle with a mask's centre, direction and spread: no jagged edge of it weighs more than its inside."""
    ys, xs = np.nonzero(mask)
    x, y = float(xs.mean()), float(ys.mean())
    off_x, off_y = xs - x, ys - y
    # A pixel is a square, not a point: a twelfth more in each direction.
    across, down = float(off_x @ off_x) / len(xs) + 1 / 12, float(off_y @ off_y) / len(xs) + 1 / 12
    slant = float(off_x @ off_y) / len(xs)
    # The eigenvalues of this 2x2 matrix, and the direction of the larger.
    middle, apart = (across + down) / 2, math.hypot((across - down) / 2, slant)
    # A rectangle's variance along a side is a twelfth of the side's square.
    length, width = math.sqrt(12 * (middle + apart)), math.sqrt(12 * max(0.0, middle - apart))
    return Rectangle(x + 0.5 + left, y + 0.5 + top, length, width, math.atan2(2 * slant, across - down) / 2)


def _grown(core: Rectangle, inset: float) -> Rectangle:
    """The outline of a core: what was taken away on each side is a share of the outline's own width."""
    width = core.width / (1 - 2 * inset)
    length = core.length + 2 * inset * width
    return Rectangle(core.x, core.y, max(length, width), min(length, width), core.angle)
