"""`POST /feedback`: people correct answers; and the answers that wait for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from monitoring.answers import Answer, AnsweredSpot
from monitoring.corrections import Correction, take_correction
from parking.errors import StoreError, UnknownAnswerError
from parking.settings import Settings
from parking.storage import Store
from service.answer_buffer import AnswerBuffer
from service.auth import caller
from service.deadline import Deadline
from service.errors import BodyTooLargeError, BusyError
from service.metrics import Metrics
from service.openapi_examples import FEEDBACK, correction_body
from service.responses import Prediction
from service.uploads import Upload

__all__ = ["Answers", "router"]

MOST_BODY_BYTES = 2**20
"""Of a correction: some twenty thousand corners. To read one holds the interpreter, and so every other request."""
MOST_SECONDS = 10.0
"""Longest wait for the store that is to take a correction."""
_TOO_SLOW = "The store has not answered, and the correction may be lost. Send it again later: the last counts."
_AT_ONCE = 4
_MOST_WAITING = 16
_RETRY_SECONDS = 5.0
"""Between two tries to keep the answers that wait, where the store refuses."""

router = APIRouter()


class Scored(BaseModel):
    """What a correction says of the answer, and what becomes of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    answer_id: str
    request_id: str
    iou: float
    """Of the answered ground and the corrected, 0 to 1."""
    f1: float
    """Of the places, matched at an IoU of 0.5, 0 to 1."""
    count_error: int
    """Places answered beyond those there are."""
    teaches: bool
    """Whether the next ingest takes it as a scene; without PARKING_KEEP_IMAGES there is no image to learn from."""


class Answers:
    """Keeps answers, on disk until the store has them, and takes their corrections in threads of its own."""

    def __init__(
        self, open_store: Callable[[], Store], buffer: AnswerBuffer, settings: Settings, metrics: Metrics
    ) -> None:
        self._open_store = open_store
        self._buffer = buffer
        self._settings = settings
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="corrections")
        self._under_way = 0
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._send_on, name="answers", daemon=True)

    def start(self) -> None:
        """Begin to copy answers to the store."""
        self._thread.start()

    def keep(self, prediction: Prediction, upload: Upload) -> None:
        """Keep an answer, and its image where the settings allow it; never waits for the store."""
        if not self._settings.feedback_days:
            return
        image = upload.data if self._settings.keep_images else None
        try:
            self._metrics.answers.lost.inc(self._buffer.add(answer_of(prediction), image))
        except Exception:  # noqa: BLE001 - the caller gets the answer; one that cannot be corrected is counted
            self._metrics.answers.lost.inc()
            logger.exception("The answer to {} cannot be corrected", prediction.request_id)
        self._woken.set()

    async def correct(self, correction: Correction) -> Scored:
        """Take a correction.

        Raises:
            UnknownAnswerError, AmbiguousAnswerError, CorrectionError, StoreError: as `take_correction` does.
            BusyError: too many others wait.
            DeadlineError: the store did not answer in time.
        """
        if not self._settings.feedback_days:
            raise UnknownAnswerError(
                "This service keeps no answers and takes no corrections, for PARKING_FEEDBACK_DAYS is 0. "
                "Set it to some days."
            )
        if self._under_way >= _AT_ONCE + _MOST_WAITING:
            raise BusyError("Too many corrections wait. Send it again in a second.")
        working = asyncio.get_running_loop().run_in_executor(self._pool, self._correct, correction)
        self._under_way += 1
        working.add_done_callback(self._done)
        # What a thread has begun goes on; only the caller waits no longer.
        async with Deadline(min(MOST_SECONDS, self._settings.request_seconds), _TOO_SLOW).waiting():
            scored = await asyncio.shield(working)
        self._metrics.answers.feedback.labels("right" if correction.right else "corrected").inc()
        return scored

    def close(self, seconds: float = 2.0) -> None:
        """Copy what waits, if the store takes it in time; else it waits on disk for the next start."""
        self._stopped.set()
        self._woken.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(seconds)
        if not self._thread.is_alive():
            self._metrics.answers.lost.inc(self._buffer.close())

    def _done(self, working: "asyncio.Future[Scored]") -> None:
        self._under_way -= 1
        if not working.cancelled():
            # If nobody waits for it any more, a failure is still logged.
            working.exception()

    def _send_on(self) -> None:
        while True:
            stopped = self._stopped.is_set()
            self._woken.clear()
            done = self._send()
            if stopped:
                return
            if done:
                self._woken.wait()
            else:
                # However many answers come meanwhile: a store that is down is not asked for each of them.
                self._stopped.wait(_RETRY_SECONDS)

    def _send(self) -> bool:
        """Whether nothing waits any more."""
        try:
            self._buffer.send(self._open_store)
        except StoreError as error:
            logger.warning("Answers wait until the store takes them: {}", error)
            return False
        except Exception:  # noqa: BLE001 - this thread must outlive whatever one answer brings
            logger.exception("Answers could not be kept")
            return False
        return True

    def _correct(self, correction: Correction) -> Scored:
        self._buffer.send(self._open_store, correction.answer_id or correction.request_id)
        days = self._settings.feedback_days
        found = take_correction(self._open_store(), correction, days=days, now=datetime.now(UTC))
        logger.info("Answer {} was corrected: F1 {:.2f}", found.answer_id, found.f1)
        return Scored(
            answer_id=found.answer_id,
            request_id=found.request_id,
            iou=round(found.iou, 4),
            f1=round(found.f1, 4),
            count_error=found.count_error,
            teaches=bool(found.scene),
        )


def answer_of(prediction: Prediction) -> Answer:
    """What is kept of a prediction."""
    found = prediction.detection
    return Answer(
        answer_id=prediction.answer_id,
        request_id=prediction.request_id,
        time=prediction.time,
        model_version=prediction.model_version,
        width=prediction.raster.frame.width,
        height=prediction.raster.frame.height,
        spots=tuple(AnsweredSpot(ring=spot.ring, confidence=spot.confidence) for spot in found.spots),
    )


async def read_correction(request: Request) -> Correction:
    """The correction in a request's body.

    Raises:
        HTTPException: 415, it is no JSON.
        BodyTooLargeError: it is over the limit of a correction.
        RequestValidationError: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        # Not only a matter of order: a form of any web page could send the rest without asking.
        raise HTTPException(415, f"A body of type {kind!r} is no correction. Send application/json.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise BodyTooLargeError(MOST_BODY_BYTES, "Correct fewer places at once, or draw them with fewer corners.")
    try:
        return Correction.model_validate_json(bytes(body))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error


@router.post(
    "/feedback",
    dependencies=[Depends(caller)],
    responses=FEEDBACK,
    openapi_extra=correction_body(Correction),
)
async def feedback(request: Request) -> Scored:
    """Say of an earlier answer that it is right, or which places are wrong or missing."""
    answers: Answers = request.app.state.service.answers
    async with Deadline(request.app.state.service.settings.request_seconds).waiting():
        correction = await read_correction(request)
    return await answers.correct(correction)
