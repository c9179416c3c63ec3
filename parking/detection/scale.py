"""The ground resolution of an image that does not say it: from its vehicles, else from its texture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from parking.detection.contract import Contract
from parking.detection.places import Maps, find_vehicles
from parking.detection.spots import Spot

__all__ = [
    "COARSER",
    "COARSEST",
    "COARSE_GSD",
    "FINEST",
    "LEAST_AREA_M2",
    "LEAST_VEHICLES",
    "NEARLY",
    "SLIMMEST",
    "STOUTEST",
    "SURE_CORE",
    "SURE_MEAN",
    "USUAL_GSD",
    "GsdSource",
    "Scale",
    "by_texture",
    "by_vehicles",
    "estimate",
    "sure_vehicles",
    "usual_length",
]

GsdSource = Literal["file", "caller", "vehicles", "texture", "assumed"]
"""Who says how large a pixel is on the ground: the image's file, the caller, an estimate, or nobody."""

USUAL_GSD = 0.11
"""Metres per pixel that an image is first taken to have where nobody says it: that of the usual screenshot of a map."""

COARSE_GSD = 0.2
"""Metres per pixel that an image without vehicles is then taken to have, where it may be coarse."""

COARSER = 1.3
"""Times the usual resolution from which texture says that an image may be coarse."""

NEARLY = 0.08
"""Share by which an estimated resolution may differ from the one that an image was read at: less is not read again."""

LEAST_VEHICLES = 5
"""Vehicles below which their median length says less than the texture does."""

SURE_CORE, SURE_MEAN = 0.8, 0.7
"""Probabilities from which a vehicle tells the scale, whatever the contract asks of one that is only counted."""

LEAST_AREA_M2 = 0.6
"""Smallest outline that may be a vehicle in an image that is coarser than it was taken to be."""

STOUTEST, SLIMMEST = 1.6, 3.2
"""Length over width of a car or van."""

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


def sure_vehicles(maps: Maps, contract: Contract) -> tuple[Spot, ...]:
    """Vehicles that tell the scale: surely seen, and shaped like one; windows in roofs are not.

    Args:
        maps: of the model, at the resolution that the image was taken to have.
        contract: of the model; one that sees vehicles.
    """
    if contract.vehicles is None:
        return ()
    # In an image that is coarser than it was taken to be, vehicles look smaller than any is.
    changes = {"core_threshold": SURE_CORE, "least_mean": SURE_MEAN, "min_area_m2": LEAST_AREA_M2}
    sure = contract.model_copy(update={"vehicles": contract.vehicles.model_copy(update=changes)})
    return tuple(spot for spot in find_vehicles(maps, sure, contract.gsd) if STOUTEST < _shape(spot) < SLIMMEST)


def usual_length(vehicles: Sequence[Spot]) -> float | None:
    """The length that half of the ground under vehicles is in vehicles of at most, in pixels; None for too few.

    A median weighed by area: what is too small for a vehicle weighs little.
    """
    if len(vehicles) < LEAST_VEHICLES:
        return None
    sides = np.array([cv2.minAreaRect(np.array(one.ring, np.float32))[1] for one in vehicles])
    lengths, areas = sides.max(axis=1), sides.prod(axis=1)
    order = np.argsort(lengths)
    reached = np.cumsum(areas[order])
    return float(lengths[order][np.searchsorted(reached, reached[-1] / 2)])


def by_vehicles(vehicles: Sequence[Spot], vehicle_length_m: float) -> Scale | None:
    """The resolution at which the usual vehicle has its length.

    Args:
        vehicles: of `sure_vehicles`, in pixels of the image whose resolution is sought.
        vehicle_length_m: of the usual vehicle, as the model outlines it.

    Returns:
        None where there are too few vehicles.
    """
    length = usual_length(vehicles)
    if length is None:
        return None
    # The median of n values is a quarter less exact than their mean.
    spread = 1.25 * _VEHICLE_SPREAD / np.sqrt(len(vehicles))
    return Scale(float(np.clip(vehicle_length_m / length, FINEST, COARSEST)), "vehicles", round(float(spread), 3))


def _shape(spot: Spot) -> float:
    """Length over width."""
    _, (a, b), _ = cv2.minAreaRect(np.array(spot.ring, np.float32))
    return float(max(a, b) / max(min(a, b), 1e-6))


def by_texture(size_px: float, usual_size_m: float) -> Scale:
    """The resolution at which places would have their usual size.

    Args:
        size_px: root of the area that places seem to have, in pixels.
        usual_size_m: the same of a usual place, in metres.
    """
    return Scale(float(np.clip(usual_size_m / size_px, FINEST, COARSEST)), "texture", _TEXTURE_SPREAD)


def estimate(maps: Maps, size_px: float | None, contract: Contract, taken: Scale) -> Scale:
    """The resolution of an image by what a model saw in it: its vehicles, else its texture, else as it was taken.

    Args:
        maps: of the model, at the contract's resolution.
        size_px: root of the area that places seem to have in them, in pixels; None if the model says nothing of it.
        contract: of the model.
        taken: what the image was taken to have when it was read.
    """
    across = taken.gsd / contract.gsd
    if contract.vehicles and contract.vehicle_length_m:
        vehicles = sure_vehicles(maps, contract)
        if seen := by_vehicles(vehicles, contract.vehicle_length_m):
            return replace(seen, gsd=seen.gsd * across)
    if size_px and contract.usual_size_m:
        guess = by_texture(size_px, contract.usual_size_m)
        return replace(guess, gsd=guess.gsd * across)
    return taken
