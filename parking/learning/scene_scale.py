"""The ground resolution of an annotated scene whose file does not say it, by the size of what was drawn in it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.polygons import Ring
from parking.data.snapshot import Scene
from parking.detection.scale import LEAST_VEHICLES, USUAL_GSD

__all__ = ["PLACE_SIZE_M", "annotated_gsd", "is_loose_box", "sides", "single_places"]

VEHICLE_LENGTH_M = 4.6
"""Length of the median vehicle: European cars are 4.3 m, North American ones 4.8 m."""

PLACE_SIZE_M = 3.4
"""Root of the area of a usual place: 2.3 m by 5 m."""

LONGEST = 3.3
"""Length over width from which an outline is a kerb or a row, and no single place."""

LARGEST = 2.1
"""Area, in those of a small place of the scene, from which an outline is a row."""

_SMALL = 35
"""Percentile of the areas of a scene that is a small place."""

_DIAGONAL = 1.65
"""Length over width below which an upright box may stand round a diagonal vehicle, and tells no length."""


def sides(ring: Ring | NDArray[np.float64]) -> tuple[float, float]:
    """Length and width of the smallest rectangle round an outline, in its pixels."""
    _, (a, b), _ = cv2.minAreaRect(np.array(ring, np.float32))
    return max(a, b), max(min(a, b), 1e-6)


def is_loose_box(ring: Ring) -> bool:
    """Whether a vehicle's outline is an upright box that may stand round a diagonal vehicle."""
    xs, ys = {x for x, _ in ring}, {y for _, y in ring}
    if len(ring) != 4 or len(xs) != 2 or len(ys) != 2:
        return False
    length, width = sides(ring)
    return length / width < _DIAGONAL


def single_places(scene: Scene) -> list[bool]:
    """Which of a scene's free outlines are of one place: some people draw one round a row.

    Where bays were annotated every outline is a bay.
    """
    if "stall" in scene.annotated:
        return [True] * len(scene.rings)
    shapes = [sides(ring) for ring in scene.rings]
    short = [length / width < LONGEST for length, width in shapes]
    areas = [length * width for length, width in shapes]
    if not any(short):
        return short
    small = np.percentile([area for area, one in zip(areas, short, strict=True) if one], _SMALL)
    return [one and area < LARGEST * small for area, one in zip(areas, short, strict=True)]


def annotated_gsd(scene: Scene) -> float:
    """Metres per pixel at which a scene's vehicles have their usual length, else its places their usual size.

    It needs the annotation: a scene that judges a model is read at what the model estimates itself.
    """
    vehicles = [sides(ring)[0] for ring in scene.vehicles if not is_loose_box(ring)]
    if len(vehicles) >= LEAST_VEHICLES:
        return VEHICLE_LENGTH_M / float(np.median(vehicles))
    areas = _areas(scene.rings, single_places(scene))
    if not areas:
        return USUAL_GSD
    # A few places say less than the usual resolution does.
    share = len(areas) / (len(areas) + 2)
    guess = PLACE_SIZE_M / np.sqrt(np.median(areas))
    return float(np.exp(share * np.log(guess) + (1 - share) * np.log(USUAL_GSD)))


def _areas(rings: Sequence[Ring], single: Sequence[bool]) -> list[float]:
    return [length * width for ring, one in zip(rings, single, strict=True) if one for length, width in [sides(ring)]]
