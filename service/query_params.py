"""What a caller may ask for besides the image, in the query or in fields of the form."""

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from parking.data.stretch import Stretch, parse_stretch
from parking.errors import ImageError

__all__ = ["AskedFor", "QueryParams"]

_OF_WIDGETS = re.compile(
    r"""(name|type|size|id|uuid|key|filename|file_?size|mime_?type|relative_?path|web_?kit_?relative_?path|last_?modified
    (_?date)?|chunks?|total_?(chunks|size)|_charset_|submit|upload|csrf_?(middleware_?)?token|_?token
    |authenticity_token|(dz|qq|flow|resumable)\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Fields that widgets for uploads, and frameworks for forms, add of their own: they ask for nothing."""


class QueryParams(BaseModel):
    """The query of a prediction; what is left out, the model's contract and the settings decide."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    threshold: float | None = Field(None, gt=0, lt=1, examples=[0.6])
    """Probability from which a pixel is free, instead of the model's. Larger: less ground, and surer. The count
    need not fall with it: what is one blob at a low threshold may be several places at a higher one."""

    min_area: float | None = Field(None, ge=0, le=10_000, examples=[6.0])
    """Smallest place that is kept, in m², instead of the model's."""

    gsd: float | None = Field(None, gt=0.01, lt=5.0, examples=[0.2])
    """Metres a pixel of the image, whatever the file says; the image is scaled to what the model was trained at."""

    stretch: str | None = Field(None, pattern=r"^[^,]+,[^,]+$", examples=["0,4095"])
    """Values that become black and white, as `low,high`, instead of those that the image's percentiles suggest. Without
    it images of 8 bits are taken as they are."""

    tta: bool = False
    """Average the answers to eight flips and turns of the image: a little better, and eight times slower."""

    @field_validator("stretch")
    @classmethod
    def _is_a_stretch(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_stretch(value)
            except ImageError as error:
                raise ValueError(str(error)) from error
        return value

    @property
    def stretch_values(self) -> Stretch | None:
        """The stretch that the caller gave."""
        return parse_stretch(self.stretch) if self.stretch is not None else None

    def with_fields(self, fields: Mapping[str, str]) -> "QueryParams":
        """The same, with what fields of the form say besides; an empty field says nothing.

        Raises:
            RequestValidationError: a field is unknown, cannot be, or says otherwise than the query.
        """
        said = {name: value for name, value in fields.items() if value.strip() and not _OF_WIDGETS.fullmatch(name)}
        if not said:
            return self
        try:
            found = QueryParams.model_validate(said)
        except ValidationError as error:
            wrong = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
            raise RequestValidationError(wrong) from error
        for name in found.model_fields_set & self.model_fields_set:
            if getattr(found, name) != getattr(self, name):
                message = "The form and the query say different things. Send it once"
                raise RequestValidationError([{"loc": ("body", name), "msg": message, "type": "conflict"}])
        return self.model_copy(update={name: getattr(found, name) for name in found.model_fields_set})


AskedFor = Annotated[QueryParams, Query()]
"""QueryParams, as a route takes them."""
