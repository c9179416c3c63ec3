"""One scale of brightness for a whole layer of a survey: neighbouring blocks must look alike to the model."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

PERCENTILES = (0.5, 99.5)
"""Of the valid values: not the extremes, for one glint would leave the rest in the dark."""


class Stretch(BaseModel):
    """Values from `low` to `high` become 0 to 255; 8-bit imagery is left as it is."""

    model_config = ConfigDict(frozen=True)

    low: float = 0.0
    high: float = 255.0

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Values of any shape and type as 8 bits."""
        if values.dtype == np.uint8:
            return np.asarray(values)
        scaled = (values.astype(np.float32) - self.low) * np.float32(255.0 / max(self.high - self.low, 1e-12))
        return np.asarray(np.rint(np.nan_to_num(scaled).clip(0, 255)), np.uint8)


def stretch_of(samples: Iterable[tuple[NDArray[np.generic], NDArray[np.bool_]]]) -> Stretch:
    """The stretch by samples of a layer: values (h, w, C), and where there are any."""
    valid = [values[known].ravel() for values, known in samples]
    found = np.concatenate(valid) if valid else np.empty(0, np.uint8)
    if found.dtype == np.uint8 or not found.size:
        return Stretch()
    found = found[np.isfinite(found)]
    low, high = np.percentile(found, PERCENTILES) if found.size else (0.0, 1.0)
    return Stretch(low=float(low), high=float(max(high, low + 1e-9)))
