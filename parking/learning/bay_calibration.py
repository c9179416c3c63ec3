"""Calibration of how likely a known bay is taken, on annotated bays of scenes that the network has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon
from sklearn.linear_model import LogisticRegression

from parking.data.polygons import Ring
from parking.detection.confidence import mean_inside
from parking.detection.contract import BayCalibration, Contract, MapName
from parking.detection.occupancy import cues, read_bays
from parking.learning.rules import is_unknown
from parking.learning.scene_prediction import ScenePrediction

__all__ = ["bay_answers", "calibrate_bays"]

_LEAST = 20
"""Bays of each state below which nothing can be learnt from them."""

_MOSTLY = 0.5
"""Share of a bay that must be free ground for the bay to be free."""


def calibrate_bays(predictions: Sequence[ScenePrediction]) -> BayCalibration | None:
    """The logistic curve that explains best which bays are taken; None where too few were annotated.

    Args:
        predictions: out of fold, with maps.
    """
    seen, taken = [], []
    for prediction in predictions:
        maps = _maps(prediction)
        for ring, is_taken in annotated_bays(prediction):
            seen.append(cues(maps, ring))
            taken.append(is_taken)
    if min(sum(taken), len(taken) - sum(taken)) < _LEAST:
        return None
    model = LogisticRegression(C=1.0).fit(np.array(seen), np.array(taken))
    (vehicle, free), offset = model.coef_[0], model.intercept_[0]
    return BayCalibration(vehicle=round(float(vehicle), 4), free=round(float(free), 4), offset=round(float(offset), 4))


@dataclass(frozen=True, slots=True)
class BayAnswer:
    """What was said of one annotated bay."""

    confidence: float
    """Probability of the likelier of the two states."""

    is_right: bool
    """Whether that is the bay's state."""


def bay_answers(predictions: Sequence[ScenePrediction], contract: Contract) -> list[BayAnswer]:
    """What is said of the annotated bays; nothing where the model cannot read known bays."""
    if contract.known_bays is None:
        return []
    answers = []
    for prediction in predictions:
        bays = annotated_bays(prediction)
        read = read_bays(_maps(prediction), [ring for ring, _ in bays], contract.known_bays) if bays else []
        answers += [
            BayAnswer(max(bay.occupied, 1 - bay.occupied), (bay.occupied >= 0.5) == taken)
            for bay, (_, taken) in zip(read, bays, strict=True)
        ]
    return answers


def annotated_bays(prediction: ScenePrediction) -> list[tuple[Ring, bool]]:
    """Bays in pixels of the maps, and whether each is taken; none of those of which nothing is known."""
    scene, sample = prediction.sample.scene, prediction.sample
    if "stall" not in scene.annotated or not prediction.maps:
        return []
    height, width = sample.mask.shape
    rows, columns = prediction.maps["probability"].shape
    bays = []
    for ring in scene.stalls:
        whole = tuple((x * width / scene.width, y * height / scene.height) for x, y in ring)
        if is_unknown(whole, sample.ignored):
            continue
        is_taken = mean_inside(Polygon(whole), sample.mask) < _MOSTLY
        bays.append((tuple((x * columns / width, y * rows / height) for x, y in whole), is_taken))
    return bays


def _maps(prediction: ScenePrediction) -> dict[MapName, NDArray[np.float32]]:
    return {name: values.astype(np.float32) for name, values in prediction.maps.items()}
