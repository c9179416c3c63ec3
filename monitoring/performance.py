"""How good a version's answers were, by the corrections that people gave."""

import datetime as dt
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from monitoring.corrections import Feedback
from parking.learning.metrics import PixelCounts, dice, iou

__all__ = [
    "WINDOW_DAYS",
    "Performance",
    "performance_of",
]

WINDOW_DAYS = 30
"""Days whose corrections are taken together: people correct few answers."""


class Performance(BaseModel):
    """Scores over a version's corrected answers. People correct what they see to be wrong: it is a lower bound."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    corrected: int
    """Answers that somebody checked."""
    right: int
    """Of these, right as they were."""
    iou: float
    """Of free ground, over all of them."""
    f1: float
    """Of places at an IoU of 0.5, over all of them."""
    count_error: float
    """Mean number of places answered beyond those there are."""


def performance_of(feedback: Iterable[Feedback], version: str, day: dt.date) -> Performance | None:
    """Scores of a version's answers of a day and the 29 before it; nothing where none was corrected."""
    earliest = day - dt.timedelta(days=WINDOW_DAYS - 1)
    corrections = [one for one in feedback if one.model_version == version and earliest <= one.asked.date() <= day]
    if not corrections:
        return None
    pixels = PixelCounts(*(round(sum(one.pixels[part] for one in corrections)) for part in range(3)))
    places = PixelCounts(*(sum(one.places[part] for one in corrections) for part in range(3)))
    return Performance(
        corrected=len(corrections),
        right=sum(one.right for one in corrections),
        iou=iou(pixels),
        f1=dice(places),
        count_error=sum(one.count_error for one in corrections) / len(corrections),
    )
