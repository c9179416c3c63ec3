"""Which of the bays that somebody knows are taken: no place has to be found, each has only to be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from shapely import Polygon

from parking.data.polygons import Ring
from parking.detection.confidence import log_odds, mean_inside
from parking.detection.contract import BayCalibration
from parking.detection.places import Maps

__all__ = ["INSET", "SURE", "Bay", "State", "cues", "read_bays"]

INSET = 0.15
"""Share of a bay's width that is left out on each side: a neighbour's car often stands on the line."""

SURE = 0.8
"""Probability from which a bay is said to be free or taken; below it is `unsure`."""

State = Literal["free", "occupied", "unsure"]


@dataclass(frozen=True, slots=True)
class Bay:
    """A known bay and what stands in it."""

    ring: Ring
    """As it was given, in pixels of the image."""

    occupied: float
    """Probability that it is taken, in [0, 1]."""

    @property
    def state(self) -> State:
        """What the probability amounts to."""
        return "occupied" if self.occupied >= SURE else "free" if self.occupied <= 1 - SURE else "unsure"


def read_bays(maps: Maps, bays: Sequence[Ring], calibration: BayCalibration) -> list[Bay]:
    """The state of each bay.

    Args:
        maps: `probability` and `vehicle`, (H, W).
        bays: outlines in pixels of the maps, each at least partly inside.
        calibration: of the model.
    """
    return [Bay(ring, _occupied(cues(maps, ring), calibration)) for ring in bays]


def cues(maps: Maps, ring: Ring) -> tuple[float, float]:
    """Log-odds of the mean vehicle and free probability in the middle of a bay."""
    inner = _middle(Polygon(ring))
    return log_odds(mean_inside(inner, maps["vehicle"])), log_odds(mean_inside(inner, maps["probability"]))


def _occupied(seen: tuple[float, float], calibration: BayCalibration) -> float:
    vehicle, free = seen
    z = calibration.vehicle * vehicle + calibration.free * free + calibration.offset
    return 1 / (1 + math.exp(-float(np.clip(z, -30, 30))))


def _middle(bay: Polygon) -> Polygon:
    width = min(cv2.minAreaRect(np.array(bay.exterior.coords, np.float32))[1])
    inner = bay.buffer(-INSET * width, join_style="mitre")
    return inner if isinstance(inner, Polygon) and not inner.is_empty else bay
