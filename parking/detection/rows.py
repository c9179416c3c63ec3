"""Fits a parallelogram, as the outline of a row of bays, to a free shape."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

__all__ = ["LEVELS", "SLANT", "STEEPEST", "Row", "likeness", "measure_row"]

SLANT = 0.15
"""Slant from which the bays of a row are taken to stand at an angle (8.5°)."""

STEEPEST = 1.75
"""Slant up to which they are: bays stand at 30° to their row or more."""

LEVELS = 15
"""Number of lines along a row on which its ends are measured."""


@dataclass(frozen=True)
class Row:
    """A parallelogram with two sides along the row.

    In the row's own frame `u` runs along it and `v` across it, in pixels from `middle`; the row lies between `start`
    and `end` along and `low` and `high` across, and its ends lean by `slant` pixels of `u` for each of `v`.
    """

    middle: NDArray[np.float64]
    along: NDArray[np.float64]
    start: float
    end: float
    low: float
    high: float
    slant: float

    @property
    def length(self) -> float:
        """Along the row, in pixels."""
        return self.end - self.start

    @property
    def depth(self) -> float:
        """Across the row, in pixels."""
        return self.high - self.low

    @cached_property
    def polygon(self) -> Polygon:
        """The parallelogram in the image."""
        corners = np.array(
            [[self.start, self.low], [self.end, self.low], [self.end, self.high], [self.start, self.high]]
        )
        return Polygon(self.to_image(corners))

    def to_row(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the image (…, 2) as `u` and `v`, upright: without the slant."""
        turned = _turn(points, self.middle, self.along)
        turned[..., 0] -= self.slant * turned[..., 1]
        return turned

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `to_row`."""
        u, v = points[..., 0] + self.slant * points[..., 1], points[..., 1]
        across = np.array([-self.along[1], self.along[0]])
        return np.asarray(self.middle + u[..., None] * self.along + v[..., None] * across, dtype=np.float64)


def measure_row(shape: Polygon) -> Row:
    """The parallelogram that fits a shape best, with the same area."""
    corners = np.array(shape.exterior.coords)
    centre, (width, height), degrees = cv2.minAreaRect(corners.astype(np.float32))
    angle = math.radians(degrees if width >= height else degrees + 90)
    middle, along = np.array(centre, dtype=np.float64), np.array([math.cos(angle), math.sin(angle)])
    outline = _turn(corners, middle, along)
    low, high = float(outline[:, 1].min()), float(outline[:, 1].max())
    # With bays at an angle, the corners of the outer bays round the ends: only the middle shows the slant.
    levels = low + (high - low) * np.linspace(0.25, 0.75, LEVELS)
    starts, ends = _ends(outline, levels)
    slant = _slant(levels, starts, ends)
    start, end = float(np.median(starts - slant * levels)), float(np.median(ends - slant * levels))
    # Bulges enlarge a bounding box, but hardly the area.
    depth = min(shape.area / max(end - start, 1e-6), high - low)
    centre_v = (low + high) / 2
    return Row(middle, along, start, end, centre_v - depth / 2, centre_v + depth / 2, slant)


def likeness(shape: Polygon) -> float:
    """Similarity of a shape to a row: its IoU with the fitted parallelogram."""
    row = measure_row(shape).polygon
    common = float(shape.intersection(row).area)
    return common / float(shape.area + row.area - common)


def _turn(points: NDArray[np.float64], middle: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    offsets = points - middle
    return np.stack([offsets @ along, offsets @ np.array([-along[1], along[0]])], axis=-1)


def _ends(outline: NDArray[np.float64], levels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last intersection of each level with the outline."""
    u, v = outline[:-1].T
    du, dv = np.diff(outline, axis=0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (levels[:, None] - v[None]) / dv[None]
        crossing = u[None] + share * du[None]
    crossed = (share >= 0) & (share <= 1)
    return np.where(crossed, crossing, np.inf).min(axis=1), np.where(crossed, crossing, -np.inf).max(axis=1)


def _slant(levels: NDArray[np.float64], starts: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
    """The slant of both ends; 0 if the ends differ, which means that they are irregular and not slanted."""
    centred = levels - levels.mean()
    first, last = (float(centred @ side / (centred @ centred)) for side in (starts, ends))
    slant = (first + last) / 2
    leans = SLANT <= abs(slant) <= STEEPEST and abs(first - last) < 0.35 + 0.3 * abs(slant)
    return slant if leans else 0.0
