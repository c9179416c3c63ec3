"""Occupancy of known bays: nothing has to be detected, each bay is only classified."""

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
"""Share of a bay's width that is left out on each side: cars in neighbouring bays often stand on the line."""

SURE = 0.8
"""Probability from which a bay is `free` or `occupied`; below, it is `unsure`."""

State = Literal["free", "occupied", "unsure"]


@dataclass(frozen=True, slots=True)
class Bay:
    """A known bay with its occupancy."""

    ring: Ring
    """Outline in pixels of the image."""

    occupied: float
    """Probability that it is taken, in [0, 1]."""

    @property
    def state(self) -> State:
        """The state by the probability."""
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
    """Log-odds of the mean vehicle and free probability in the central part of a bay."""
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
