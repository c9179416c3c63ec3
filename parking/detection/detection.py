"""The results of a detector: the maps of its network over a raster, and the places and vehicles in them."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from parking.data.raster import Raster
from parking.detection.contract import MapName
from parking.detection.scale import GsdSource, Scale
from parking.detection.spots import Spot, stretch

__all__ = ["Detection", "Reading", "ScaledReading"]


@dataclass(frozen=True, slots=True)
class Detection:
    """The places and vehicles in one raster."""

    spots: tuple[Spot, ...]
    count: int
    count_interval: tuple[int, int]
    """80 % interval of the true number of places; calibrated for the contract's threshold and least area."""

    probability: NDArray[np.float32]
    """(H, W) of the raster, the chance that a pixel is free parking."""

    gsd: float
    """Metres per pixel that the areas were computed with."""

    gsd_source: GsdSource
    """Source of the resolution."""

    imagery_date: date | None
    threshold: float
    seen: NDArray[np.uint8]
    """(h, w, 3) RGB as the network saw it: the raster at the contract's ground resolution, where its own is known."""

    embedding: tuple[float, ...] = ()
    """Principal components of its features, in standard deviations of the training scenes; empty if there are none."""

    vehicles: tuple[Spot, ...] | None = None
    """Cars, vans, buses and lorries; None if the model sees none."""

    gsd_spread: float | None = None
    """Relative standard error of an estimated `gsd`; None if it is no estimate."""

    def in_file(self, raster: Raster) -> "Detection":
        """The same in pixels of the file, if the raster is smaller; the maps do not change."""
        frame = raster.file
        if frame is None:
            return self
        across, down = frame.width / raster.width, frame.height / raster.height
        vehicles = None if self.vehicles is None else stretch(self.vehicles, across, down)
        spots = stretch(self.spots, across, down)
        return replace(self, spots=spots, vehicles=vehicles, gsd=frame.gsd or self.gsd)

    @property
    def taken(self) -> int | None:
        """Number of vehicles, parked or driving; None if the model finds no vehicles."""
        return None if self.vehicles is None else len(self.vehicles)

    @property
    def share_taken(self) -> float | None:
        """Vehicles as a share of vehicles and free places; None without either, or if the model finds no vehicles."""
        together = self.count + (self.taken or 0)
        return None if self.taken is None or not together else round(self.taken / together, 4)


@dataclass(frozen=True, slots=True)
class Reading:
    """The network's outputs for one raster, at the contract's ground resolution."""

    maps: dict[MapName, NDArray[np.float32]]
    """(H, W) each, in [0, 1]; `probability` is the chance that a pixel is free."""

    size_px: float | None
    """Square root of the estimated area of a place, in pixels of the network's input; None without an estimate."""

    embedding: tuple[float, ...]
    """See `Detection`."""

    @property
    def probability(self) -> NDArray[np.float32]:
        """(H, W), the chance that a pixel is free parking."""
        return self.maps["probability"]


@dataclass(frozen=True, slots=True)
class ScaledReading:
    """A raster at the contract's ground resolution, and the network's outputs for it."""

    raster: Raster
    scale: Scale
    """The original resolution of the raster, and its source."""

    reading: Reading
