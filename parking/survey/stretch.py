"""One scale of brightness for a whole layer of a survey: neighbouring blocks must look alike to the model."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from parking.data.stretch import Stretch as Line
from parking.data.stretch import to_8_bits


class Stretch(BaseModel):
    """Values from `low` to `high` become 0 to 255; 8-bit imagery is left as it is.

    It is kept with the survey, and is what the same file alone would get (`parking.data.rendering`).
    """

    model_config = ConfigDict(frozen=True)

    low: float = 0.0
    high: float = 255.0

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Values (H, W, C) of any type as 8 bits."""
        return np.asarray(values) if values.dtype == np.uint8 else to_8_bits(values, Line(self.low, self.high))
