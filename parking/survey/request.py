"""What is asked of a survey, and how far it is."""

from pydantic import BaseModel, ConfigDict, Field

from parking.survey.grid import Bounds

__all__ = ["Progress", "SurveyRequest"]


class SurveyRequest(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    sources: tuple[str, ...]
    """Files, folders and `s3://` prefixes of imagery, and addresses of layers (docs/surveys.md)."""
    out: str
    """Folder or `s3://bucket/prefix` for the result."""
    area: str = ""
    """Layer of polygons; only what lies in them is surveyed."""
    bbox: Bounds | None = None
    """West, south, east and north in degrees, instead of an area."""
    districts: str = ""
    """Layer of polygons to sum up by."""
    district_name: str = ""
    """Column with their names."""
    bays: str = ""
    """Layer of polygons, each a bay that is to be said free or taken."""
    kerbs: str = ""
    """Layer of lines, by whose length in a district its places are counted, too."""
    threshold: float | None = None
    """Least probability, instead of the model's."""
    block: int = 4096
    """About how many pixels along the edge of a block."""
    crs: str | None = None
    """Of imagery that does not say."""
    gsd: float | None = Field(None, gt=0.01, lt=5)
    """Metres per pixel that servers are asked for; the model's where it is left out."""
    asset: str = ""
    """Name of the rasters of items of STAC; by their roles where it is left out."""
    attribution: str = ""
    """Whom to name for imagery of servers, instead of what they say."""


class Progress(BaseModel):
    """How far a survey is."""

    done: int = 0
    failed: int = 0
    blocks: int = 0
    places: int = 0
    km2: float = 0.0
    dashboard: str = ""
