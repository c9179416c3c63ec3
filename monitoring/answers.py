"""Answers that wait for corrections: kept in the store for a few days, with their images where these may be kept."""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, ValidationError

from parking.data.polygons import Ring
from parking.errors import MissingKeyError
from parking.storage import Store

__all__ = ["Answer", "AnsweredSpot", "extension_of", "find_answer", "forget_answers", "keep_answer", "read_answers"]

_PREFIX = "answers/"


class AnsweredSpot(BaseModel):
    """A place as it was answered."""

    ring: Ring
    confidence: float


class Answer(BaseModel):
    """The answer to one request, kept for a few days so that it can be corrected."""

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


def keep_answer(store: Store, answer: Answer, image: bytes | None = None) -> None:
    """Keep an answer for corrections, and its image where one is given.

    Raises:
        StoreError: the store refused.
    """
    base = f"{_PREFIX}{answer.time.astimezone(dt.UTC):%Y-%m-%d}/{answer.request_id}"
    if image is not None:
        answer = answer.model_copy(update={"image": f"{base}{extension_of(image)}"})
        store.write(answer.image, image)
    store.write(f"{base}.json", answer.model_dump_json().encode())


def read_answers(store: Store) -> Iterator[Answer]:
    """All answers that can still be corrected; damaged ones are passed over."""
    for key in store.keys(_PREFIX):
        if key.endswith(".json"):
            try:
                yield Answer.model_validate_json(store.read(key))
            except (ValidationError, MissingKeyError):
                continue


def find_answer(store: Store, request_id: str, days: Iterable[dt.date]) -> Answer | None:
    """The answer to a request, if it was given on one of these days and is still kept."""
    for day in days:
        with suppress(ValidationError, MissingKeyError):
            return Answer.model_validate_json(store.read(f"{_PREFIX}{day}/{request_id}.json"))
    return None


def forget_answers(store: Store, *, days: float, today: dt.date) -> int:
    """Delete answers older than `days`, and their images; returns the number of files."""
    oldest = str(today - dt.timedelta(days=int(days) + 1))
    gone = [key for key in store.keys(_PREFIX) if key.removeprefix(_PREFIX)[:10] < oldest]
    for key in gone:
        store.delete(key)
    return len(gone)


def extension_of(image: bytes) -> str:
    """File extension of an image by its first bytes; of the formats that are read, the rest is TIFF."""
    if image.startswith(b"\x89PNG"):
        return ".png"
    if image.startswith(b"\xff\xd8"):
        return ".jpg"
    return ".webp" if image[8:12] == b"WEBP" else ".tif"
