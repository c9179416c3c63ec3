"""What a detector gives: the maps of its network over a raster, and what was found in them."""

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
    """What was found in one raster."""

    spots: tuple[Spot, ...]
    count: int
    count_interval: tuple[int, int]
    """Bounds for the number of places there are, at 80 %; as measured with the contract's threshold and least area."""

    probability: NDArray[np.float32]
    """(H, W) of the raster, the chance that a pixel is free parking."""

    gsd: float
    """Metres per pixel that the areas were computed with."""

    gsd_source: GsdSource
    """Who said so."""

    imagery_date: date | None
    threshold: float
    seen: NDArray[np.uint8]
    """(h, w, 3) RGB as the network saw it: the raster at the contract's ground resolution, where its own is known."""

    embedding: tuple[float, ...] = ()
    """Principal components of its features, in deviations of the training scenes; empty if the model has none."""

    vehicles: tuple[Spot, ...] | None = None
    """Cars, vans, buses and lorries; None if the model sees none."""

    gsd_spread: float | None = None
    """Standard error of an estimated `gsd`, as a share of it; None where it is no estimate."""

    def in_file(self, raster: Raster) -> "Detection":
        """The same in pixels of the file, where the raster is smaller than it; the maps stay as they are."""
        frame = raster.file
        if frame is None:
            return self
        across, down = frame.width / raster.width, frame.height / raster.height
        vehicles = None if self.vehicles is None else stretch(self.vehicles, across, down)
        spots = stretch(self.spots, across, down)
        return replace(self, spots=spots, vehicles=vehicles, gsd=frame.gsd or self.gsd)

    @property
    def taken(self) -> int | None:
        """Vehicles seen, each of which takes a place or drives; None if the model sees none."""
        return None if self.vehicles is None else len(self.vehicles)

    @property
    def share_taken(self) -> float | None:
        """Vehicles among vehicles and free places together; None where neither was found or looked for."""
        together = self.count + (self.taken or 0)
        return None if self.taken is None or not together else round(self.taken / together, 4)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says of one raster, at the contract's ground resolution."""

    maps: dict[MapName, NDArray[np.float32]]
    """(H, W) each, in [0, 1]; `probability` is the chance that a pixel is free."""

    size_px: float | None
    """Root of the area that places seem to have, in pixels that the network saw; None if it says nothing of it."""

    embedding: tuple[float, ...]
    """See `Detection`."""

    @property
    def probability(self) -> NDArray[np.float32]:
        """(H, W), the chance that a pixel is free parking."""
        return self.maps["probability"]


@dataclass(frozen=True, slots=True)
class ScaledReading:
    """A raster at the contract's ground resolution, and what the network says of it."""

    raster: Raster
    scale: Scale
    """The resolution of the raster before, and how it is known."""

    reading: Reading
