"""The ground resolution of an image that does not say it: from its vehicles, else from its texture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from parking.detection.spots import Spot

GsdSource = Literal["file", "caller", "vehicles", "texture", "assumed"]
"""Who says how large a pixel is on the ground: the image's file, the caller, an estimate, or nobody."""

LEAST_VEHICLES = 5
"""Vehicles below which their median length says less than the texture does."""

FINEST, COARSEST = 0.02, 1.0
"""Metres per pixel that an estimate stays within: outside nobody could mark a place."""

_VEHICLE_SPREAD = 0.12
"""Standard deviation of the logarithm of one vehicle's length: vans are longer, and outlines are not exact."""

_TEXTURE_SPREAD = 0.2
"""Standard deviation of the logarithm of a resolution that texture suggests."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A ground resolution and how it is known."""

    gsd: float
    """Metres per pixel."""

    source: GsdSource
    """Who says so."""

    spread: float | None = None
    """Standard error of an estimate as a share of it; None where it is no estimate."""


def by_vehicles(vehicles: Sequence[Spot], vehicle_length_m: float) -> Scale | None:
    """The resolution at which the median vehicle has its usual length.

    Args:
        vehicles: in pixels of the image whose resolution is sought.
        vehicle_length_m: of the median vehicle, as the model outlines it.

    Returns:
        None where there are too few vehicles.
    """
    if len(vehicles) < LEAST_VEHICLES:
        return None
    lengths = [max(cv2.minAreaRect(np.array(one.ring, np.float32))[1]) for one in vehicles]
    estimate = vehicle_length_m / float(np.median(lengths))
    # The median of n values is a quarter less exact than their mean.
    spread = 1.25 * _VEHICLE_SPREAD / np.sqrt(len(lengths))
    return Scale(float(np.clip(estimate, FINEST, COARSEST)), "vehicles", round(float(spread), 3))


def by_texture(size_px: float, usual_size_m: float) -> Scale:
    """The resolution at which places would have their usual size.

    Args:
        size_px: root of the area that places seem to have, in pixels.
        usual_size_m: the same of a usual place, in metres.
    """
    return Scale(float(np.clip(usual_size_m / size_px, FINEST, COARSEST)), "texture", _TEXTURE_SPREAD)
