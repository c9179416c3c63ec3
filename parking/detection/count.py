"""How many places there are, given how many were found: an interval."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from parking.detection.contract import CountCalibration

__all__ = ["LEAST_DISPERSION", "count_interval", "map_uncertainty"]

LEAST_DISPERSION = 0.05
"""A handful of scenes can be counted without an error by luck; the interval must not shrink to nothing."""


def count_interval(
    count: int, calibration: CountCalibration, level: float = 0.8, uncertainty: float | None = None
) -> tuple[int, int]:
    """Bounds for the number of places there are, given the number found.

    The score interval of a Poisson count whose spread is `dispersion` times as wide, rounded outwards: the bounds
    are the means from which the observation lies just within the level.

    Args:
        count: places found.
        calibration: of the model, from out-of-fold predictions.
        level: share of images whose true number should lie between the bounds.
        uncertainty: of the image's map, see `map_uncertainty`; None where there is no one map, as in a district.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = count * calibration.ratio
    spread = _dispersion(calibration, uncertainty) * z**2
    half = math.sqrt(spread * centre + spread**2 / 4)
    low, high = centre + spread / 2 - half, centre + spread / 2 + half
    return math.floor(low + 1e-9), math.ceil(high - 1e-9)


def _dispersion(calibration: CountCalibration, uncertainty: float | None) -> float:
    if calibration.by_uncertainty is None or uncertainty is None:
        return calibration.dispersion
    return max(LEAST_DISPERSION, calibration.by_uncertainty * uncertainty)


def map_uncertainty(probability: NDArray[np.floating]) -> float:
    """Variance of the free ground that a map expects, for each pixel of it: 0 where every pixel is sure.

    Pixels are taken for independent Bernoulli draws, so that it is the sum of p (1 - p) over the sum of p. Painted bays
    have sharp maps and are easy to count; kerbs have blurred ones.

    Args:
        probability: of free ground, any shape.

    Returns:
        From 0 to 1; 1 where the map expects less than a pixel.
    """
    p = probability.astype(np.float64, copy=False)
    expected = float(p.sum())
    return float((p * (1 - p)).sum()) / expected if expected >= 1 else 1.0
