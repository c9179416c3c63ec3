"""The forms of an answer: JSON, GeoJSON, or a picture, as the caller's Accept header asks."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import mimeparse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from parking.data.imagery import Raster, encode_png
from parking.detection.detection import Detection
from parking.detection.geojson import closed, locate, to_geojson
from parking.detection.output import overlay
from parking.detection.scale import GsdSource
from parking.detection.spots import Kind

__all__ = ["DRAWING", "Prediction", "PredictionAnswer", "choose_form", "render"]


class Place(BaseModel):
    """One free parking place."""

    polygon: list[tuple[float, float]]
    """Its outline, x and y in pixels of the image, (0, 0) the upper left corner; not closed."""
    confidence: float
    """0 to 1: of the places with 0.8, four in five lie mostly on free ground, as far as the model was measured."""
    area_m2: float
    """Its area in square metres."""
    kind: Kind
    """`bay`: a place of its own; `kerb`: a part of a longer free stretch, cut at the usual length of a place."""
    lonlat: list[tuple[float, float]] | None
    """Its outline in WGS 84, closed and in one piece: beyond 180 degrees where it crosses the 180th meridian. Null
    where the file does not say where on Earth it is."""


class Vehicle(BaseModel):
    """One car, van, bus or lorry, parked or driving."""

    polygon: list[tuple[float, float]]
    """Its outline, x and y in pixels of the image; not closed."""
    confidence: float
    """Mean probability of a vehicle inside it, 0 to 1."""
    area_m2: float
    """Its area in square metres."""
    lonlat: list[tuple[float, float]] | None
    """As of a place."""


class Gsd(BaseModel):
    """Ground sample distance."""

    value: float
    """Metres per pixel."""
    source: GsdSource
    """Who said so: the file, the caller, an estimate from vehicles or texture, or nobody."""
    spread: float | None = Field(default=None, exclude_if=lambda spread: spread is None)
    """Standard error of an estimate, as a share of it; left out where there is none."""


class StretchAnswer(BaseModel):
    """How values of more than 8 bits became brightness."""

    low: float
    """Value that became black."""
    high: float
    """Value that became white."""
    source: Literal["caller", "percentiles", "statistics"]
    """Who said so: the caller, the image's own percentiles, or the statistics that the file declares."""


class PredictionAnswer(BaseModel):
    """The free places in one image. The imagery may be months old: this is no live availability."""

    model_config = ConfigDict(protected_namespaces=(), use_attribute_docstrings=True)

    answer_id: str
    """Of this answer alone: by it a correction is sent to `/feedback`, and it stands in the log, too."""
    request_id: str
    """The caller's X-Request-ID, or one that was made up; several answers may have the same."""
    model_version: str
    """Number of the registered version that answered."""
    count: int
    """Places found."""
    count_interval: tuple[int, int]
    """Bounds for the number of places there are, at 80 %; as measured with the model's own threshold and least area."""
    threshold: float
    """Probability from which a pixel counted as free."""
    coordinate_system: Literal["WGS 84", "image"]
    """Whether the file says where on Earth it is, so that places have a `lonlat`."""
    position_accuracy_m: float | None
    """Metres that a `lonlat` may be off because of the change of datum; null where nobody knows."""
    spots: list[Place]
    """The places, from the top of the image downwards."""
    vehicles: list[Vehicle] | None
    """The vehicles, likewise; null if the model sees none."""
    taken: int | None
    """Vehicles seen: each takes a place or drives; null if the model sees none."""
    share_taken: float | None
    """Vehicles among vehicles and free places together; null where neither was found or looked for."""
    gsd: Gsd
    """Ground resolution that areas were computed with."""
    imagery_date: str
    """The day the image was taken, or `unknown`."""
    stretch: StretchAnswer | None
    """How values of more than 8 bits became brightness; null for an image of 8 bits, which is taken as it is."""
    warnings: list[str]
    """What to know before the answer is relied on, a sentence each."""
    width: int
    """Of the image, in pixels."""
    height: int
    """Of the image, in pixels."""
    elapsed_ms: float
    """Time to decode the image and find the places."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One image and what was found in it, by which model."""

    request_id: str
    answer_id: str
    time: datetime
    """When it was made, UTC."""
    model_version: str
    raster: Raster
    """As it was decoded, which may be smaller than the file."""
    detection: Detection
    """In pixels of the file."""
    elapsed_ms: float


def choose_form(accept: str | None) -> str:
    """The best media type that we can give for an Accept header (RFC 9110, 12.5.1).

    Raises:
        HTTPException: 406, we have none of those asked for.
    """
    offers = list(reversed(FORMS))  # of equals, the last is taken
    try:
        found: str = mimeparse.best_match(offers, (accept or "*/*").lower())
    except mimeparse.MimeTypeParseException:
        found = ""
    if not found:
        raise HTTPException(406, f"Nothing here is {accept!r}. Ask for one of {', '.join(FORMS)}.")
    return found


def render(prediction: Prediction, form: str) -> bytes:
    """The answer's body in one of the forms."""
    return FORMS[form](prediction)


def _as_json(prediction: Prediction) -> bytes:
    found = prediction.detection
    spots = (*found.spots, *(found.vehicles or ()))
    frame = prediction.raster.frame
    location = locate([spot.ring for spot in spots], frame)
    outlines = [
        {
            "polygon": list(spot.ring),
            "confidence": spot.confidence,
            "area_m2": spot.area_m2,
            "lonlat": location.rings and [(x, y) for x, y in closed(location.rings[number])],
        }
        for number, spot in enumerate(spots)
    ]
    places = [Place(kind=spot.kind, **one) for spot, one in zip(found.spots, outlines, strict=False)]
    vehicles = [Vehicle(**one) for one in outlines[found.count :]]
    answer = PredictionAnswer(
        answer_id=prediction.answer_id,
        request_id=prediction.request_id,
        model_version=prediction.model_version,
        count=found.count,
        count_interval=found.count_interval,
        threshold=found.threshold,
        coordinate_system="image" if location.rings is None else "WGS 84",
        position_accuracy_m=location.accuracy_m,
        spots=places,
        vehicles=None if found.vehicles is None else vehicles,
        taken=found.taken,
        share_taken=found.share_taken,
        gsd=Gsd(value=found.gsd, source=found.gsd_source, spread=found.gsd_spread),
        imagery_date=found.imagery_date.isoformat() if found.imagery_date else "unknown",
        stretch=StretchAnswer(**asdict(stretch)) if (stretch := frame.stretch) else None,
        warnings=[*frame.warnings, *location.warnings],
        width=frame.width,
        height=frame.height,
        elapsed_ms=round(prediction.elapsed_ms, 1),
    )
    return answer.model_dump_json().encode()


def _as_geojson(prediction: Prediction) -> bytes:
    return json.dumps(to_geojson(prediction.detection, prediction.raster.frame, prediction.model_version)).encode()


def _as_picture(prediction: Prediction) -> bytes:
    return encode_png(overlay(prediction.raster, prediction.detection))


DRAWING = "image/png"
FORMS: dict[str, Callable[[Prediction], bytes]] = {
    "application/json": _as_json,
    "application/geo+json": _as_geojson,
    DRAWING: _as_picture,
}
"""The first is the default."""
