"""Answers that wait in the store for people to correct them, each under an id that the server made."""

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from parking.data.polygons import Ring
from parking.errors import AmbiguousAnswerError, MissingKeyError, UnknownAnswerError
from parking.storage import Store

__all__ = [
    "ANSWER_ID",
    "Answer",
    "AnsweredSpot",
    "extension_of",
    "find_answer",
    "find_by_request",
    "forget_answers",
    "keep_answer",
    "make_answer_id",
    "read_answers",
    "the_answer",
]

ANSWER_ID = r"\d{8}-[0-9a-f]{8}-[0-9a-f]{16}"
"""The day (UTC), a digest of the caller's request id, and what makes it unique."""
_PREFIX = "answers/"
_IS_ID = re.compile(ANSWER_ID)


class AnsweredSpot(BaseModel):
    """A place as it was answered."""

    ring: Ring
    confidence: float


class Answer(BaseModel):
    """What was answered to one image, kept for a few days so that it can be corrected."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    answer_id: str = ""
    """Made by the server, and nobody else's; an answer kept by an older version has its request id here."""
    request_id: str
    """What the caller calls the request: a label, which several answers may carry."""
    time: dt.datetime
    """When it was given, UTC."""
    model_version: str
    width: int
    """Of the image, in pixels."""
    height: int
    spots: tuple[AnsweredSpot, ...]
    image: str = ""
    """Key of the image in the store; empty where images are not kept."""

    @model_validator(mode="after")
    def _of_an_older_version(self) -> "Answer":
        self.answer_id = self.answer_id or self.request_id
        return self

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Outlines of the places."""
        return tuple(spot.ring for spot in self.spots)


def make_answer_id(request_id: str, time: dt.datetime) -> str:
    """An id for an answer to a request that is given at a time.

    All answers of a day to requests of one name begin alike, so that they are found by it; the name itself, which a
    caller chooses, is in no key.
    """
    return f"{_beginning(request_id, time.astimezone(dt.UTC).date())}{secrets.token_hex(8)}"


def keep_answer(store: Store, answer: Answer, image: bytes | None = None) -> None:
    """Keep an answer for corrections, and its image where one is given; again, it changes nothing.

    Raises:
        StoreError: the store refused.
    """
    base = f"{_PREFIX}{_day_of(answer)}/{answer.answer_id}"
    if image is not None:
        answer = answer.model_copy(update={"image": f"{base}{extension_of(image)}"})
        store.write(answer.image, image)
    store.write(f"{base}.json", answer.model_dump_json().encode())


def find_answer(store: Store, answer_id: str, day: dt.date) -> Answer | None:
    """The answer of an id, if it is still kept.

    Args:
        store: holds the answers.
        answer_id: as the server made it.
        day: of the answer; one kept by an older version may lie under the next, too.
    """
    days = (_date_in(answer_id),) if _IS_ID.fullmatch(answer_id) else (day, day + dt.timedelta(days=1))
    for one in days:
        if found := _read(store, f"{_PREFIX}{one}/{answer_id}.json"):
            return found
    return None


def find_by_request(store: Store, request_id: str, days: int, today: dt.date) -> list[Answer]:
    """Answers of the last days to requests of one name; several, where a caller used it again."""
    found = []
    for day in (today - dt.timedelta(days=back) for back in range(days + 1)):
        keys = store.keys(f"{_PREFIX}{day}/{_beginning(request_id, day)}")
        # A version before this one had the name itself as the key.
        for key in (*keys, f"{_PREFIX}{day}/{request_id}.json"):
            answer = _read(store, key) if key.endswith(".json") else None
            if answer is not None and answer.request_id == request_id:
                found.append(answer)
    return found


def the_answer(store: Store, answer_id: str, request_id: str, *, days: float, now: dt.datetime) -> Answer:
    """The one answer that is meant.

    Args:
        store: holds the answers.
        answer_id: its id; empty where only the request is named.
        request_id: what the caller called the request; empty where the id says it all.
        days: that answers are kept.
        now: the time, UTC.

    Raises:
        UnknownAnswerError: there is none, or not any more.
        AmbiguousAnswerError: several requests had this name; the message has the ids of their answers.
        StoreError: the store refused.
    """
    if answer_id:
        one = find_answer(store, answer_id, now.date())
        found = [one] if one is not None and request_id in ("", one.request_id) else []
    else:
        found = find_by_request(store, request_id, int(days) + 1, now.date())
    found = [answer for answer in found if now - answer.time <= dt.timedelta(days=days)]
    if not found:
        raise UnknownAnswerError(
            f"There is no answer '{answer_id or request_id}' to correct: it was never given, or more than {days:g} "
            "days ago. Ask again with the image, and correct that answer."
        )
    if len(found) > 1:
        named = ", ".join(f"{answer.answer_id} ({answer.time:%Y-%m-%d %H:%M:%S} UTC)" for answer in found)
        raise AmbiguousAnswerError(
            f"{len(found)} answers were given to requests called '{request_id}': {named}. "
            "Correct one of them by its `answer_id`."
        )
    return found[0]


def read_answers(store: Store) -> Iterator[Answer]:
    """Answers that wait for corrections."""
    for key in store.keys(_PREFIX):
        if key.endswith(".json") and (answer := _read(store, key)):
            yield answer


def forget_answers(store: Store, *, days: float, today: dt.date) -> int:
    """Delete answers, and their images, that have waited long enough; returns how many files."""
    oldest = str(today - dt.timedelta(days=int(days) + 1))
    gone = [key for key in store.keys(_PREFIX) if key.removeprefix(_PREFIX)[:10] < oldest]
    for key in gone:
        store.delete(key)
    return len(gone)


def extension_of(image: bytes) -> str:
    """By the first bytes; what is neither PNG, JPEG nor WebP of what we read is TIFF."""
    if image.startswith(b"\x89PNG"):
        return ".png"
    if image.startswith(b"\xff\xd8"):
        return ".jpg"
    return ".webp" if image[8:12] == b"WEBP" else ".tif"


def _beginning(request_id: str, day: dt.date) -> str:
    return f"{day:%Y%m%d}-{hashlib.sha256(request_id.encode()).hexdigest()[:8]}-"


def _day_of(answer: Answer) -> dt.date:
    return _date_in(answer.answer_id) if _IS_ID.fullmatch(answer.answer_id) else answer.time.astimezone(dt.UTC).date()


def _date_in(answer_id: str) -> dt.date:
    try:
        return dt.date.fromisoformat(answer_id[:8])
    except ValueError:
        # Made up: no answer was given on such a day.
        return dt.date.min


def _read(store: Store, key: str) -> Answer | None:
    with suppress(ValidationError, MissingKeyError):
        return Answer.model_validate_json(store.read(key))
    return None
