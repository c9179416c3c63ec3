"""How sure a place is: the mean probability inside it, and what that proved to be worth."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from parking.detection.contract import PlaceCalibration

SUREST = 1 - 1e-4
"""No place is surer than this, and none less sure than one minus it."""


def mean_inside(place: Polygon, values: NDArray[np.float32] | NDArray[np.bool_]) -> float:
    """Mean of the pixels whose centre is inside, of the nearest pixel where the place is smaller than that.

    Args:
        place: an outline in the image, in pixels.
        values: (H, W), in [0, 1], or true and false.
    """
    height, width = values.shape
    x0, y0 = (max(0, math.floor(bound)) for bound in place.bounds[:2])
    x1, y1 = min(width, math.ceil(place.bounds[2])), min(height, math.ceil(place.bounds[3]))
    window = values[y0:y1, x0:x1]
    # Pixel centres stand at a half in the outline's coordinates and at whole numbers in OpenCV's.
    corners = np.array(place.exterior.coords[:-1]) - (x0 + 0.5, y0 + 0.5)
    inside = np.zeros(window.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(corners * 16).astype(np.int32)], 1, shift=4)
    chosen = window[inside > 0]
    return float(np.clip(chosen.mean() if chosen.size else window.mean(), 0.0, 1.0))


def confidence_of(mean: float, calibration: PlaceCalibration) -> float:
    """The confidence of a place, from the mean probability inside it."""
    return 1 / (1 + math.exp(-calibration.slope * log_odds(mean) - calibration.offset))


def log_odds(probability: float) -> float:
    """Of a probability, which is kept a hair away from 0 and 1."""
    inside = min(max(probability, 1 - SUREST), SUREST)
    return math.log(inside / (1 - inside))
