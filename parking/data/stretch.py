"""From values of any type to 8 bits: which two of them become black and white."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Stretch:
    """A straight line from the values of a file to 0 to 255; what lies beyond is clipped."""

    low: float
    """Value that becomes 0."""

    high: float
    """Value that becomes 255."""

    source: Literal["caller", "percentiles", "statistics"] = "percentiles"
    """Who said so: the caller, the image's own percentiles, or the statistics that the file declares."""
