"""Corrections by people: each is scored against the answer, and becomes a scene to train on."""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

import shapely
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from monitoring.answers import ANSWER_ID, Answer, extension_of, the_answer
from parking.data.polygons import CrossingOutlineError, Ring, area, clip
from parking.errors import CorrectionError, MissingKeyError
from parking.learning.metrics import PixelCounts, dice, iou, match
from parking.storage import Store

__all__ = [
    "SCENES",
    "Correction",
    "Feedback",
    "corrected",
    "has_scenes",
    "read_feedback",
    "score",
    "take_correction",
]

_RECORDS = "feedback/records/"
SCENES = "feedback/scenes"
"""Annotated images, as any ingest takes them: an image and a COCO file each."""
_MATCH_IOU = 0.5

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Outline = Annotated[tuple[Point, ...], Field(min_length=3, max_length=500)]


class Correction(BaseModel):
    """A person's correction of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    answer_id: Annotated[str, Field(pattern=rf"^({ANSWER_ID})?$")] = ""
    """`answer_id` of the answer."""
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,140}$")] = ""
    """Of the request, in place of the answer's own id where only one answer has it."""
    right: bool = False
    """The answer is right; then nothing is removed or added."""
    removed: Annotated[tuple[int, ...], Field(max_length=10_000)] = ()
    """Places that are not free: their positions in the answer's `spots`, from 0."""
    added: Annotated[tuple[Outline, ...], Field(max_length=1000)] = ()
    """Outlines of free places that were missed, x and y in pixels of the image."""
    by: Annotated[str, Field(max_length=100)] = ""
    """Name of the person."""

    @model_validator(mode="after")
    def _names_an_answer(self) -> "Correction":
        if not (self.answer_id or self.request_id):
            raise ValueError("name the answer: give its `answer_id`, or its `request_id` where only one answer has it")
        return self


class Feedback(BaseModel):
    """A correction as it is kept, with the scores of the answer."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    answer_id: str = ""
    """Of the answer; a correction kept by an older version has its request id here."""
    request_id: str
    model_version: str
    asked: dt.datetime
    """When the answer was given, UTC."""
    time: dt.datetime
    """When it was corrected, UTC."""
    by: str
    """Name of the person; empty where none was given."""
    right: bool
    rings: tuple[Ring, ...]
    """Free places as the person sees them."""
    answered: int
    """Places that were answered."""
    pixels: tuple[float, float, float]
    """Square pixels of true positives, false positives, and false negatives."""
    places: tuple[int, int, int]
    """True positives (at an IoU of 0.5), false positives, and false negatives."""
    scene: str = ""
    """Key of the image that training may use; empty where images are not kept."""

    @model_validator(mode="after")
    def _of_an_older_version(self) -> "Feedback":
        self.answer_id = self.answer_id or self.request_id
        return self

    @property
    def iou(self) -> float:
        """Of the free ground, answered and corrected."""
        return iou(PixelCounts(*(round(part) for part in self.pixels)))

    @property
    def f1(self) -> float:
        """Of the places, at an IoU of 0.5."""
        return dice(PixelCounts(*self.places))

    @property
    def count_error(self) -> int:
        """Places answered less those that there are."""
        return self.answered - len(self.rings)


def take_correction(store: Store, correction: Correction, *, days: float, now: dt.datetime) -> Feedback:
    """Score an answer by its correction, and keep both for good: as an annotated scene, too, where the image was kept.

    Args:
        store: holds the answers, and takes the correction.
        correction: of an answer in the store.
        days: that answers are kept.
        now: the time, UTC.

    Raises:
        UnknownAnswerError: there is no such answer, or it is no longer kept.
        AmbiguousAnswerError: the request's id names several answers.
        CorrectionError: the correction does not fit the answer.
        StoreError: the store refused.
    """
    answer = the_answer(store, correction.answer_id, correction.request_id, days=days, now=now)
    rings = corrected(answer, correction)
    feedback = score(answer, correction, rings, now)
    if answer.image:
        feedback = feedback.model_copy(update={"scene": _keep_scene(store, answer, rings, correction.by)})
    key = f"{_RECORDS}{now:%Y-%m-%d}/{answer.answer_id}-{uuid.uuid4().hex[:8]}.json"
    store.write(key, feedback.model_dump_json().encode())
    return feedback


def corrected(answer: Answer, correction: Correction) -> tuple[Ring, ...]:
    """The places there are: those answered, less the removed, and the added, clipped to the image.

    Raises:
        CorrectionError: a polygon or a position does not fit; the message names it.
    """
    if correction.right and (correction.removed or correction.added):
        raise CorrectionError("A correction says that the answer is right, and yet changes it: say one or the other.")
    if not correction.right and not (correction.removed or correction.added):
        raise CorrectionError("A correction says nothing: give places `removed` or `added`, or say `right`.")
    unknown = [number for number in correction.removed if not 0 <= number < len(answer.spots)]
    if unknown:
        raise CorrectionError(
            f"Place {unknown[0]} cannot be removed: the answer has {len(answer.spots)} places, counted from 0."
        )
    added: list[Ring] = []
    for number, ring in enumerate(correction.added):
        try:
            parts = clip(ring, answer.width, answer.height)
        except CrossingOutlineError as crossing:
            raise CorrectionError(f"Added polygon {number} cannot be used: {crossing}.") from crossing
        if not parts:
            raise CorrectionError(
                f"Added polygon {number} has no area inside the image of {answer.width} x {answer.height} pixels: "
                "give x and y in pixels of the image."
            )
        added += parts
    kept = [ring for number, ring in enumerate(answer.rings) if number not in set(correction.removed)]
    return (*kept, *added)


def score(answer: Answer, correction: Correction, rings: tuple[Ring, ...], now: dt.datetime) -> Feedback:
    """Score an answer against the corrected places."""
    found, true = _ground(answer.rings), _ground(rings)
    shared = found.intersection(true).area
    return Feedback(
        answer_id=answer.answer_id,
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
    """The newest correction of each answer corrected since a day."""
    newest: dict[str, Feedback] = {}
    for key in store.keys(_RECORDS):
        if key.removeprefix(_RECORDS)[:10] >= str(since):
            try:
                found = Feedback.model_validate_json(store.read(key))
            except (ValidationError, MissingKeyError):
                continue
            earlier = newest.get(found.answer_id)
            if earlier is None or earlier.time <= found.time:
                newest[found.answer_id] = found
    yield from newest.values()


def has_scenes(store: Store) -> bool:
    """Whether any correction has become a scene to train on."""
    return next(iter(store.keys(f"{SCENES}/")), None) is not None


def _ground(rings: tuple[Ring, ...]) -> shapely.Geometry:
    return shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])


def _keep_scene(store: Store, answer: Answer, rings: tuple[Ring, ...], by: str) -> str:
    """The image and its places under the image's checksum: corrected again, it is the same scene."""
    image = store.read(answer.image)
    base = f"{SCENES}/{hashlib.sha256(image).hexdigest()[:16]}"
    key = f"{base}{extension_of(image)}"
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
        "info": {"contributor": f"feedback:{by}".removesuffix(":"), "description": f"answer {answer.answer_id}"},
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "free parking"}],
    }
