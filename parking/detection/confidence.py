"""The confidence of a place: the mean probability inside it, calibrated on out-of-fold predictions."""

import math

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from parking.detection.contract import PlaceCalibration
from parking.detection.polygonize import pixels_in

__all__ = ["MAX_CONFIDENCE", "confidence_of", "log_odds", "mean_inside", "mean_within"]

MAX_CONFIDENCE = 1 - 1e-4
"""Largest confidence; one minus it is the smallest."""


def mean_inside(place: Polygon, values: NDArray[np.float32] | NDArray[np.bool_]) -> float:
    """Mean of the pixels with their centre inside, or of the nearest pixel if there is none.

    Args:
        place: an outline in the image, in pixels.
        values: (H, W), in [0, 1], or boolean.
    """
    return mean_within(np.array(place.exterior.coords[:-1]), values)


def mean_within(corners: NDArray[np.float64], values: NDArray[np.float32] | NDArray[np.bool_]) -> float:
    """The same of an outline by its corners, (N, 2)."""
    rows, columns, inside = pixels_in(corners, values.shape)
    window = values[rows, columns]
    chosen = window[inside]
    return min(max(float(chosen.mean() if chosen.size else window.mean()), 0.0), 1.0)


def confidence_of(mean: float, calibration: PlaceCalibration) -> float:
    """The confidence of a place, from the mean probability inside it."""
    return 1 / (1 + math.exp(-calibration.slope * log_odds(mean) - calibration.offset))


def log_odds(probability: float) -> float:
    """Log-odds of a probability, which is clipped away from 0 and 1."""
    inside = min(max(probability, 1 - MAX_CONFIDENCE), MAX_CONFIDENCE)
    return math.log(inside / (1 - inside))
