"""How good a version's answers were, by what people say of them."""

import datetime as dt
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from monitoring.feedback import Feedback
from parking.learning.metrics import PixelCounts, dice, iou

DAYS = 30
"""Corrections of so many days are taken together: people correct few answers."""


class Performance(BaseModel):
    """A version's corrected answers together. People correct what they see to be wrong: it is a lower bound."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    corrected: int
    """Answers that somebody looked at."""
    right: int
    """Of these, right as they were."""
    iou: float
    """Of free ground, over all of them."""
    f1: float
    """Of places at an IoU of 0.5, over all of them."""
    count_error: float
    """Mean number of places answered beyond those there are."""


def performance_of(feedback: Iterable[Feedback], version: str, day: dt.date) -> Performance | None:
    """What corrections say of a version's answers of a day and the 29 before it; nothing where there are none."""
    earliest = day - dt.timedelta(days=DAYS - 1)
    said = [one for one in feedback if one.model_version == version and earliest <= one.asked.date() <= day]
    if not said:
        return None
    pixels = PixelCounts(*(round(sum(one.pixels[part] for one in said)) for part in range(3)))
    places = PixelCounts(*(sum(one.places[part] for one in said) for part in range(3)))
    return Performance(
        corrected=len(said),
        right=sum(one.right for one in said),
        iou=iou(pixels),
        f1=dice(places),
        count_error=sum(one.count_error for one in said) / len(said),
    )
