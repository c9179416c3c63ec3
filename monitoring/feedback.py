"""Corrections by people: answers wait for them a few days; each is scored, and becomes a scene to train on."""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import shapely
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parking.data.polygons import Ring, area, clip
from parking.errors import CorrectionError, MissingKeyError, UnknownAnswerError
from parking.learning.metrics import PixelCounts, dice, iou, match
from parking.storage import Store

_ANSWERS = "answers/"
_RECORDS = "feedback/records/"
SCENES = "feedback/scenes"
"""Annotated images, as any ingest takes them: an image and a COCO file each."""
_MATCH_IOU = 0.5

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Outline = Annotated[tuple[Point, ...], Field(min_length=3, max_length=500)]


class AnsweredSpot(BaseModel):
    """A place as it was answered."""

    ring: Ring
    confidence: float


class Answer(BaseModel):
    """What was answered to one request, kept for a few days so that it can be corrected."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    request_id: str
    time: dt.datetime
    """When it was given, UTC."""
    model_version: str
    width: int
    """Of the image, in pixels."""
    height: int
    spots: tuple[AnsweredSpot, ...]
    image: str = ""
    """Key of the image in the store; empty where images are not kept."""

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Outlines of the places."""
        return tuple(spot.ring for spot in self.spots)


class Correction(BaseModel):
    """What a person says of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,140}$")]
    """Of the answer, as it says itself."""
    right: bool = False
    """The answer is right as it is; then nothing is removed or added."""
    removed: Annotated[tuple[int, ...], Field(max_length=10_000)] = ()
    """Places that are no free places: their positions in the answer's `spots`, from 0."""
    added: Annotated[tuple[Outline, ...], Field(max_length=1000)] = ()
    """Outlines of free places that were missed, x and y in pixels of the image."""
    by: Annotated[str, Field(max_length=100)] = ""
    """Who says so."""


class Feedback(BaseModel):
    """A correction as it is kept, with what it says of the answer."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    request_id: str
    model_version: str
    asked: dt.datetime
    """When the answer was given, UTC."""
    time: dt.datetime
    """When it was corrected, UTC."""
    by: str
    """Who corrected it; empty where nobody said."""
    right: bool
    rings: tuple[Ring, ...]
    """Free places as the person sees them."""
    answered: int
    """Places that were answered."""
    pixels: tuple[float, float, float]
    """Square pixels found rightly, found wrongly, and missed."""
    places: tuple[int, int, int]
    """Places found rightly (at an IoU of 0.5), found wrongly, and missed."""
    scene: str = ""
    """Key of the image that training may use; empty where images are not kept."""

    @property
    def iou(self) -> float:
        """Of the answered ground and the corrected."""
        return iou(PixelCounts(*(round(part) for part in self.pixels)))

    @property
    def f1(self) -> float:
        """Of the places, at an IoU of 0.5."""
        return dice(PixelCounts(*self.places))

    @property
    def count_error(self) -> int:
        """Places answered beyond those there are."""
        return self.answered - len(self.rings)


def keep_answer(store: Store, answer: Answer, image: bytes | None = None) -> None:
    """Keep an answer for corrections, and its image where one is given.

    Raises:
        StoreError: the store refused.
    """
    base = f"{_ANSWERS}{answer.time.astimezone(dt.UTC):%Y-%m-%d}/{answer.request_id}"
    if image is not None:
        answer = answer.model_copy(update={"image": f"{base}{_extension(image)}"})
        store.write(answer.image, image)
    store.write(f"{base}.json", answer.model_dump_json().encode())


def take_correction(store: Store, correction: Correction, *, days: float, now: dt.datetime) -> Feedback:
    """Score a correction, and keep it for good; where the image was kept, as an annotated scene, too.

    Args:
        store: holds the answers, and takes the correction.
        correction: what a person says.
        days: that answers are kept.
        now: the time, UTC.

    Raises:
        UnknownAnswerError: there is no such answer, or not any more.
        CorrectionError: the correction does not fit the answer.
        StoreError: the store refused.
    """
    answer = _find(store, correction.request_id, days, now)
    rings = corrected(answer, correction)
    feedback = score(answer, correction, rings, now)
    if answer.image:
        feedback = feedback.model_copy(update={"scene": _keep_scene(store, answer, rings, correction.by)})
    key = f"{_RECORDS}{now:%Y-%m-%d}/{answer.request_id}-{uuid.uuid4().hex[:8]}.json"
    store.write(key, feedback.model_dump_json().encode())
    return feedback


def corrected(answer: Answer, correction: Correction) -> tuple[Ring, ...]:
    """The places there are: those answered, less the removed, and the added, clipped to the image.

    Raises:
        CorrectionError: names the polygon or the position that does not fit.
    """
    if correction.right and (correction.removed or correction.added):
        raise CorrectionError("A correction says that the answer is right, and yet changes it: say one or the other.")
    if not correction.right and not (correction.removed or correction.added):
        raise CorrectionError("A correction says nothing: give places `removed` or `added`, or say `right`.")
    beyond = [number for number in correction.removed if not 0 <= number < len(answer.spots)]
    if beyond:
        raise CorrectionError(
            f"Place {beyond[0]} cannot be removed: the answer has {len(answer.spots)} places, counted from 0."
        )
    added: list[Ring] = []
    for number, ring in enumerate(correction.added):
        # To untangle an outline of some hundred points takes minutes, and is a guess.
        if not shapely.is_valid(shapely.Polygon(ring)):
            raise CorrectionError(f"Added polygon {number} crosses or touches itself: draw it without crossing lines.")
        parts = clip(ring, answer.width, answer.height)
        if not parts:
            raise CorrectionError(
                f"Added polygon {number} has no area inside the image of {answer.width} x {answer.height} pixels: "
                "give x and y in pixels of the image."
            )
        added += parts
    kept = [ring for number, ring in enumerate(answer.rings) if number not in set(correction.removed)]
    return (*kept, *added)


def score(answer: Answer, correction: Correction, rings: tuple[Ring, ...], now: dt.datetime) -> Feedback:
    """An answer against what a person says is true."""
    found, true = _ground(answer.rings), _ground(rings)
    shared = found.intersection(true).area
    return Feedback(
        request_id=answer.request_id,
        model_version=answer.model_version,
        asked=answer.time,
        time=now,
        by=correction.by,
        right=correction.right,
        rings=rings,
        answered=len(answer.spots),
        pixels=(shared, found.area - shared, true.area - shared),
        places=match(answer.rings, rings, _MATCH_IOU),
    )


def read_feedback(store: Store, since: dt.date) -> Iterator[Feedback]:
    """The newest correction of each request corrected since a day."""
    newest: dict[str, Feedback] = {}
    for key in store.keys(_RECORDS):
        if key.removeprefix(_RECORDS)[:10] >= str(since):
            try:
                found = Feedback.model_validate_json(store.read(key))
            except (ValidationError, MissingKeyError):
                continue
            before = newest.get(found.request_id)
            if before is None or before.time <= found.time:
                newest[found.request_id] = found
    yield from newest.values()


def read_answers(store: Store) -> Iterator[Answer]:
    """Answers that wait for corrections."""
    for key in store.keys(_ANSWERS):
        if key.endswith(".json"):
            try:
                yield Answer.model_validate_json(store.read(key))
            except (ValidationError, MissingKeyError):
                continue


def find_answer(store: Store, request_id: str, days: Iterable[dt.date]) -> Answer | None:
    """The answer to a request, if it was given on one of these days and is still kept; the first that is found."""
    for day in days:
        with suppress(ValidationError, MissingKeyError):
            return Answer.model_validate_json(store.read(f"{_ANSWERS}{day}/{request_id}.json"))
    return None


def forget_answers(store: Store, *, days: float, today: dt.date) -> int:
    """Delete answers, and their images, that have waited long enough; returns how many files."""
    oldest = str(today - dt.timedelta(days=int(days) + 1))
    gone = [key for key in store.keys(_ANSWERS) if key.removeprefix(_ANSWERS)[:10] < oldest]
    for key in gone:
        store.delete(key)
    return len(gone)


def has_scenes(store: Store) -> bool:
    """Whether any correction has become a scene to train on."""
    return next(iter(store.keys(f"{SCENES}/")), None) is not None


def _find(store: Store, request_id: str, days: float, now: dt.datetime) -> Answer:
    answer = find_answer(store, request_id, (now.date() - dt.timedelta(days=back) for back in range(int(days) + 2)))
    if answer is not None and now - answer.time <= dt.timedelta(days=days):
        return answer
    raise UnknownAnswerError(
        f"There is no answer '{request_id}' to correct: it was never given, or more than {days:g} days ago. "
        "Ask again with the image, and correct that answer."
    )


def _ground(rings: tuple[Ring, ...]) -> shapely.Geometry:
    return shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])


def _keep_scene(store: Store, answer: Answer, rings: tuple[Ring, ...], by: str) -> str:
    """The image and its places under the image's checksum: corrected again, it is the same scene."""
    image = store.read(answer.image)
    base = f"{SCENES}/{hashlib.sha256(image).hexdigest()[:16]}"
    key = f"{base}{_extension(image)}"
    store.write(key, image)
    store.write(f"{base}.json", json.dumps(_coco(key, answer, rings, by)).encode())
    return key


def _coco(key: str, answer: Answer, rings: tuple[Ring, ...], by: str) -> dict[str, Any]:
    image = {"id": 1, "file_name": key.rpartition("/")[2], "width": answer.width, "height": answer.height}
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "segmentation": [[value for point in ring for value in point]],
            "area": round(area(ring), 1),
            "iscrowd": 0,
        }
        for number, ring in enumerate(rings, start=1)
    ]
    return {
        "info": {"contributor": f"feedback:{by}".removesuffix(":"), "description": f"request {answer.request_id}"},
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "free parking"}],
    }


def _extension(image: bytes) -> str:
    """By the first bytes; what is neither PNG, JPEG nor WebP of what we read is TIFF."""
    if image.startswith(b"\x89PNG"):
        return ".png"
    if image.startswith(b"\xff\xd8"):
        return ".jpg"
    return ".webp" if image[8:12] == b"WEBP" else ".tif"
