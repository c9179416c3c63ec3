"""Candidate cuts of a free shape into places, and the choice of the most likely one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from parking.detection.bays import cut_into_bays
from parking.detection.contract import CueWeights, CutChooser
from parking.detection.polygonize import pixels_of
from parking.detection.row_splitting import split_to_rows

__all__ = ["Surroundings", "best_cut", "cuts_of", "surroundings"]

SCALES = (0.7, 0.95, 1.25, 1.65, 2.2, 3.2, 5.0)
"""Sizes of bays that are tried, in units of the usual one; the largest keep most shapes whole, like outlined rows."""

CUES = tuple(CueWeights.model_fields)
"""Cues of a place, see `parking.detection.contract.CueWeights`."""

_MARGIN = 6
"""Pixels around a place that belong to its surroundings."""

_STRIP, _REACH = 512, 8
"""Rows whose gradient is computed at once, and the overlap of such strips in rows."""

_AROUND, _NEAR = np.ones((9, 9), np.uint8), np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Arrays from which the cues of a place are computed."""

    probability: NDArray[np.float32]
    """(H, W), in [0, 1]."""

    gradient: NDArray[np.float16]
    """(H, W), gradient of the brightness, in half precision to save memory."""

    mean_gradient: float
    """Its mean."""

    size_px: float
    """Square root of the expected area of a place."""


def surroundings(probability: NDArray[np.float32], pixels: NDArray[np.uint8], size_px: float) -> Surroundings:
    """The surroundings of all places in an image, RGB (H, W, 3)."""
    gradient = np.empty(pixels.shape[:2], np.float16)
    for top in range(0, len(pixels), _STRIP):
        start = max(0, top - _REACH)
        strip = _steepness(pixels[start : top + _STRIP + _REACH])
        gradient[top : top + _STRIP] = strip[top - start :][:_STRIP]
    return Surroundings(probability, gradient, float(gradient.mean(dtype=np.float64)) + 1e-3, size_px)


def cuts_of(
    shape: Polygon, bay_width: float, bay_length: float, smallest: float, check: Callable[[], None]
) -> Iterator[list[Polygon]]:
    """The places that each of `SCALES` makes of a free shape.

    Its rows are split once, with the usual bay: that takes most of the time, and depends little on the size.

    Args:
        shape: a valid polygon, counterclockwise, in pixels.
        bay_width: of a usual bay, in pixels.
        bay_length: of a usual bay, in pixels.
        smallest: area of the smallest place that is kept, in pixels.
        check: called before every cut; an exception that it raises ends the work.
    """
    rows = list(split_to_rows(shape, bay_width, bay_length, check))
    for scale in SCALES:
        check()
        cut = (bay for row in rows for bay in cut_into_bays(row, bay_width * scale, bay_length * scale))
        yield [bay for bay in cut if bay.area >= smallest]


def cues(place: Polygon, shape_area: float, there: Surroundings) -> tuple[float, ...]:
    """The `CUES` of one place.

    Args:
        place: its outline in pixels.
        shape_area: of the free shape that it was cut from, in pixels.
        there: its surroundings.
    """
    rows, columns, within = pixels_of(place, there.probability.shape, _MARGIN)
    if not within.any():
        within[within.shape[0] // 2, within.shape[1] // 2] = True
    chance = there.probability[rows, columns]
    gradient = there.gradient[rows, columns] / np.float32(there.mean_gradient)
    filled = within.view(np.uint8)
    core, rim = cv2.erode(filled, _NEAR) > 0, cv2.dilate(filled, _NEAR) > 0
    around = (cv2.dilate(filled, _AROUND) > 0) & ~rim
    values = np.sort(chance[within])
    _, sides, _ = cv2.minAreaRect(np.array(place.exterior.coords[:-1], np.float32))
    area, (width, length) = len(values), sorted(sides)
    larger = float(np.log(area) / 2 - np.log(there.size_px))
    return (
        float(values.mean()),
        float(values[area // 10]),
        _mean(chance, around, 0.0),
        area / max(width * length, 1.0),
        float(np.log(max(shape_area / area, 1.0))),
        larger,
        abs(larger),
        float(np.log((length + 1) / (width + 1))),
        _mean(gradient, within & ~core, 1.0),
        _mean(gradient, core, 1.0),
    )


def chances(seen: NDArray[np.float64], chooser: CutChooser) -> NDArray[np.float64]:
    """Probabilities (N,) that places are right, from their cues (N, 10)."""
    weights = np.array([getattr(chooser.weights, name) for name in CUES])
    return np.asarray(1 / (1 + np.exp(-np.clip(seen @ weights + chooser.offset, -60, 60))), np.float64)


def best_cut(
    tried: Sequence[Sequence[Polygon]], shape_area: float, there: Surroundings, chooser: CutChooser
) -> list[Polygon]:
    """The places to keep, from the cut with the highest value.

    To keep a place that is right with probability p increases F1 if p exceeds about half of F1 (Lipton et al., 2014).
    So the value of a place is p less that limit, and the value of a cut the sum over its places with positive value.

    Args:
        tried: the places of each cut, see `cuts_of`.
        shape_area: of the shape that was cut, in pixels.
        there: its surroundings.
        chooser: weights of the cues, and the limit.
    """
    best, places = 0.0, list[Polygon]()
    for cut in tried:
        if not cut:
            continue
        chance = chances(np.array([cues(place, shape_area, there) for place in cut]), chooser)
        good = chance > chooser.least
        worth = float((chance - chooser.least)[good].sum())
        if worth > best:
            best, places = worth, [place for place, keep in zip(cut, good, strict=True) if keep]
    return places


def _steepness(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Magnitude of the gradient of the slightly blurred brightness, in grey levels; (H, W)."""
    light = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.GaussianBlur(cv2.magnitude(across, down), (0, 0), 1.0), np.float32)


def _mean(values: NDArray[np.float32], mask: NDArray[np.bool_], otherwise: float) -> float:
    chosen = values[mask]
    return float(chosen.mean()) if chosen.size else otherwise
