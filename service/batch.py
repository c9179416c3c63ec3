"""Several images in one request; each succeeds or fails by itself."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from loguru import logger
from pydantic import BaseModel

from parking.errors import ImageError
from service.deadline import Deadline
from service.errors import (
    FAILED,
    BusyError,
    CallerGoneError,
    DeadlineError,
    NotReadyError,
    Problem,
    problem_body,
    status_of,
)
from service.predictor import Predictor, Question
from service.responses import Prediction, PredictionAnswer

__all__ = ["BatchAnswer", "predict_batch"]


class BatchResult(BaseModel):
    """What became of one image: an answer, or a problem."""

    name: str
    """Of the file."""
    answer: PredictionAnswer | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """Results in the order of the images."""

    results: list[BatchResult]


async def predict_batch(
    predictor: Predictor,
    questions: Sequence[Question],
    deadline: Deadline,
    told: Callable[[Prediction], None],
) -> bytes:
    """Answer questions one after the other; each waits for a slot like any other request, so that none is starved.

    Args:
        predictor: answers one.
        questions: all of the form JSON; the request id is numbered for each.
        deadline: for all of them together.
        told: each prediction as it comes; it is not held on to.

    Returns:
        A `BatchAnswer` as JSON.

    Raises:
        NotReadyError: no model is loaded.
        CallerGoneError: nobody wants the answers any more.
    """
    results: list[bytes] = []
    for number, question in enumerate(questions, start=1):
        request_id = f"{question.request_id}-{number}"
        name = json.dumps(question.upload.name).encode()
        try:
            prediction, body = await predictor.predict(replace(question, request_id=request_id), deadline)
        except (NotReadyError, CallerGoneError):
            raise
        except (ImageError, BusyError, DeadlineError) as error:
            results.append(_failed(name, status_of(error), str(error), request_id))
        except Exception:  # noqa: BLE001 - one that fails, however, leaves the others their answers
            logger.exception("Image {} of a batch failed", number)
            results.append(_failed(name, 500, FAILED, request_id))
        else:
            results.append(b'{"name":%b,"answer":%b,"problem":null}' % (name, body))
            told(prediction)
            del prediction
    return b'{"results":[%b]}' % b",".join(results)


def _failed(name: bytes, status: int, detail: str, request_id: str) -> bytes:
    problem = json.dumps(problem_body(status, detail, request_id)).encode()
    return b'{"name":%b,"answer":null,"problem":%b}' % (name, problem)
