"""What a caller may ask for besides the image."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field


class Wishes(BaseModel):
    """The query of a prediction; what is left out, the model's contract and the settings decide."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    threshold: float | None = Field(None, gt=0, lt=1, examples=[0.6])
    """Probability from which a pixel is free, instead of the model's. Larger: less ground, and surer. The count
    need not fall with it: what is one blob at a low threshold may be several places at a higher one."""

    min_area: float | None = Field(None, ge=0, le=10_000, examples=[6.0])
    """Smallest place that is kept, in m², instead of the model's."""

    gsd: float | None = Field(None, gt=0.01, lt=5.0, examples=[0.2])
    """Metres a pixel of the image, whatever the file says; the image is scaled to what the model was trained at."""

    tta: bool = False
    """Average the answers to eight flips and turns of the image: a little better, and eight times slower."""


AskedFor = Annotated[Wishes, Query()]
"""Wishes, as a route takes them."""
