"""The request for a survey, and its progress."""

from pydantic import BaseModel, ConfigDict, Field

from parking.survey.grid import Bounds

__all__ = ["Progress", "SurveyRequest"]


class SurveyRequest(BaseModel):
    """The request for a survey."""

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
    """Layer of polygons by which places are summed."""
    district_name: str = ""
    """Column with their names."""
    bays: str = ""
    """Layer of polygons, one for each known bay."""
    kerbs: str = ""
    """Layer of lines; districts also give places per kilometre of these."""
    threshold: float | None = None
    """Least probability; None for the model's."""
    block: int = 4096
    """Approximate edge of a block, in pixels."""
    crs: str | None = None
    """CRS of imagery that does not state one."""
    gsd: float | None = Field(None, gt=0.01, lt=5)
    """Metres per pixel to request from servers; None for the model's."""
    asset: str = ""
    """Name of the asset of STAC items; empty to choose by role."""
    attribution: str = ""
    """Attribution for imagery of servers, in place of their own."""


class Progress(BaseModel):
    """The progress of a survey."""

    done: int = 0
    failed: int = 0
    blocks: int = 0
    places: int = 0
    km2: float = 0.0
    dashboard: str = ""
