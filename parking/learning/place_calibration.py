"""Calibration of a place's confidence: Platt scaling of its mean probability on out-of-fold predictions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from parking.detection.confidence import log_odds
from parking.detection.contract import Contract, PlaceCalibration
from parking.learning.scene_prediction import ScenePrediction, found_spots, is_free, uncalibrated

__all__ = ["calibrate_places", "place_evidence"]

_MIN_SLOPE = 0.05
"""Positive, so that the calibration keeps the order of confidences, however few places it is fitted to."""

Evidence = NDArray[np.float64]
"""(N, 2): for each place found the log-odds of the mean probability inside it, and 1 where it is free, else 0."""


def place_evidence(prediction: ScenePrediction, contract: Contract) -> Evidence:
    """The evidence of one scene; empty if free places were not annotated in it."""
    spots = found_spots(prediction, uncalibrated(contract)) if prediction.sample.judges else ()
    seen = [(log_odds(spot.confidence), is_free(spot, prediction)) for spot in spots]
    return np.array(seen, np.float64).reshape(-1, 2)


def calibrate_places(evidence: Sequence[Evidence]) -> PlaceCalibration:
    """The logistic curve with the largest posterior; with little evidence it is close to the identity.

    Platt scaling (Platt, 1999) with a normal prior of standard deviation 0.5 round slope 1 and offset 0.
    scikit-learn's logistic regression shrinks towards slope 0, which would give few places all the same confidence.

    Args:
        evidence: of scenes that were predicted out of fold, see `place_evidence`.
    """
    odds, free = np.concatenate([*evidence, np.empty((0, 2))]).T

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, offset = parameters
        z = slope * odds + offset
        negative_log_likelihood = np.logaddexp(0, z) - free * z
        return float(negative_log_likelihood.sum() + 2 * ((slope - 1) ** 2 + offset**2))

    best = minimize(loss, (1.0, 0.0), method="L-BFGS-B", bounds=[(_MIN_SLOPE, None), (None, None)]).x
    return PlaceCalibration(slope=round(float(best[0]), 4), offset=round(float(best[1]), 4))
