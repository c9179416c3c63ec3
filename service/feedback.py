"""`POST /feedback`: people correct answers; and the answers that wait for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import BoundedSemaphore

from fastapi import APIRouter, Depends, Request
from loguru import logger
from pydantic import BaseModel, ConfigDict

from monitoring.answers import Answer, AnsweredSpot, keep_answer
from monitoring.corrections import Correction, take_correction
from parking.errors import StoreError, UnknownAnswerError
from parking.settings import Settings
from parking.storage import Store
from service.auth import caller
from service.metrics import Metrics
from service.openapi_examples import FEEDBACK
from service.responses import Prediction
from service.uploads import Upload

_MOST_WAITING = 64
"""Answers that may wait to be kept: a store that is slow must not fill the memory with images."""

router = APIRouter()


class Scored(BaseModel):
    """What a correction says of the answer, and what becomes of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

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
    """Keeps answers in the store, and takes their corrections, in a thread of its own and in order."""

    def __init__(self, open_store: Callable[[], Store], settings: Settings, metrics: Metrics) -> None:
        self._open_store = open_store
        self._settings = settings
        self._metrics = metrics
        self._free = BoundedSemaphore(_MOST_WAITING)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def keep(self, prediction: Prediction, upload: Upload) -> None:
        """Keep an answer, and its image where the settings allow it; never waits."""
        if not self._settings.feedback_days:
            return
        if not self._free.acquire(blocking=False):
            self._metrics.answers.lost.inc()
            return
        image = upload.data if self._settings.keep_images else None
        self._pool.submit(self._keep, answer_of(prediction), image)

    async def correct(self, correction: Correction) -> Scored:
        """Take a correction; raises as `monitoring.corrections.take_correction` does."""
        if not self._settings.feedback_days:
            raise UnknownAnswerError(
                "This service keeps no answers and takes no corrections, for PARKING_FEEDBACK_DAYS is 0. "
                "Set it to some days."
            )
        scored = await asyncio.get_running_loop().run_in_executor(self._pool, self._correct, correction)
        self._metrics.answers.feedback.labels("right" if correction.right else "corrected").inc()
        return scored

    def close(self) -> None:
        """Finish what waits."""
        self._pool.shutdown()

    def _keep(self, answer: Answer, image: bytes | None) -> None:
        try:
            keep_answer(self._open_store(), answer, image)
        except StoreError as error:
            self._metrics.answers.lost.inc()
            logger.warning("The answer to {} cannot be corrected: {}", answer.request_id, error)
        finally:
            self._free.release()

    def _correct(self, correction: Correction) -> Scored:
        days = self._settings.feedback_days
        found = take_correction(self._open_store(), correction, days=days, now=datetime.now(UTC))
        logger.info("Request {} was corrected: F1 {:.2f}", found.request_id, found.f1)
        return Scored(
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
        request_id=prediction.request_id,
        time=datetime.now(UTC),
        model_version=prediction.model_version,
        width=prediction.raster.width,
        height=prediction.raster.height,
        spots=tuple(AnsweredSpot(ring=spot.ring, confidence=spot.confidence) for spot in found.spots),
    )


@router.post(
    "/feedback",
    dependencies=[Depends(caller)],
    responses=FEEDBACK,
)
async def feedback(request: Request, correction: Correction) -> Scored:
    """Say of an earlier answer that it is right, or which places are wrong or missing."""
    answers: Answers = request.app.state.service.answers
    return await answers.correct(correction)
