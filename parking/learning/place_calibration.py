"""How sure a place is: what the mean probability inside it proved to be worth, on out-of-fold predictions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from parking.detection.confidence import log_odds
from parking.detection.contract import AS_PREDICTED, PlaceCalibration
from parking.detection.spots import SpotRules
from parking.learning.evaluate import ScenePrediction, found_spots, is_free

_LEAST_SLOPE = 0.05
"""A surer place must stay the surer one, whatever a handful of places says."""

Evidence = NDArray[np.float64]
"""(N, 2): for each place found the log-odds of the mean probability inside it, and 1 where it is free, else 0."""


def place_evidence(prediction: ScenePrediction, rules: SpotRules, gsd: float) -> Evidence:
    """What a scene says of how sure places are."""
    spots = found_spots(prediction, replace(rules, calibration=AS_PREDICTED), gsd)
    seen = [(log_odds(spot.confidence), is_free(spot, prediction)) for spot in spots]
    return np.array(seen, np.float64).reshape(-1, 2)


def calibrate_places(evidence: Sequence[Evidence]) -> PlaceCalibration:
    """The logistic curve that explains the evidence best, drawn towards no change where there is little of it.

    Platt scaling (Platt, 1999) with a normal prior of standard deviation 0.5 round slope 1 and offset 0.

    Args:
        evidence: of scenes that were predicted out of fold, see `place_evidence`.
    """
    odds, free = np.concatenate([*evidence, np.empty((0, 2))]).T

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, offset = parameters
        z = slope * odds + offset
        unlikely = np.logaddexp(0, z) - free * z
        return float(unlikely.sum() + 2 * ((slope - 1) ** 2 + offset**2))

    best = minimize(loss, (1.0, 0.0), method="L-BFGS-B", bounds=[(_LEAST_SLOPE, None), (None, None)]).x
    return PlaceCalibration(slope=round(float(best[0]), 4), offset=round(float(best[1]), 4))
