"""Every failure as problem details (RFC 9457): one table from cause to status."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from parking.errors import (
    AmbiguousAnswerError,
    BaysError,
    CorrectionError,
    ImageError,
    ImageTooLargeError,
    ModelError,
    ParkingError,
    StoreError,
    UnknownAnswerError,
)

__all__ = [
    "FAILED",
    "STOPPING",
    "BodyTooLargeError",
    "BusyError",
    "CallerGoneError",
    "DeadlineError",
    "NotReadyError",
    "Problem",
    "problem",
    "problem_body",
    "register_errors",
    "status_of",
]

FAILED = "The service failed. Report it with this request id; the log says more."
"""Detail of the answer if the code fails."""
STOPPING = "The service is stopping and cannot finish this request. Send it again: another one answers."
"""Detail of the answer to a request that takes longer than a stopping process may wait."""


class NotReadyError(ParkingError):
    """No model is loaded yet."""


class BusyError(ParkingError):
    """All slots are taken and the queue is full."""


class DeadlineError(ParkingError):
    """A request took longer than it may."""


class CallerGoneError(ParkingError):
    """Nobody waits for the answer any more."""


class BodyTooLargeError(HTTPException):
    """A request body over the limit; an `HTTPException`, because FastAPI takes any other for a broken body."""

    def __init__(self, most_bytes: int, advice: str = "Send a smaller image, or raise PARKING_MAX_UPLOAD_MB.") -> None:
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {most_bytes / 2**20:g} MiB. {advice}"
        )


STATUS: dict[type[Exception], HTTPStatus] = {
    ImageTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    UnknownAnswerError: HTTPStatus.NOT_FOUND,
    AmbiguousAnswerError: HTTPStatus.CONFLICT,
    CorrectionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    BaysError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ModelError: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    ParkingError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

CALLER_GONE = 499

RETRY_SECONDS: dict[type[Exception], str] = {NotReadyError: "2", BusyError: "1", StoreError: "10"}


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """Always `about:blank`: the status says which kind it is."""
    title: str
    """The status in words."""
    status: int
    """Of the response."""
    detail: str
    """What failed, the value it failed on, and what to do."""
    request_id: str | None
    """Stands in X-Request-ID and in the log, too."""


def problem_body(status: int, detail: str, request_id: str | None) -> dict[str, Any]:
    """Problem details."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id}


def problem(status: int, detail: str, request_id: str | None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem details response."""
    body = problem_body(status, detail, request_id)
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


def status_of(error: ParkingError) -> HTTPStatus:
    """The status that tells of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def register_errors(app: FastAPI) -> None:
    """Answer every known failure with problem details; the rest is the request middleware's."""
    app.add_exception_handler(ParkingError, _parking)
    app.add_exception_handler(CallerGoneError, _gone)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


def request_id_of(request: Request) -> str | None:
    """The id that the request middleware gave it."""
    return getattr(request.state, "request_id", None)


async def _parking(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParkingError)  # noqa: S101 - registered for it; the handler's type is wider
    retry = RETRY_SECONDS.get(type(error))
    return problem(status_of(error), str(error), request_id_of(request), {"Retry-After": retry} if retry else None)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; the status, as nginx counts such requests, is for the metrics and the log."""
    return Response(status_code=CALLER_GONE)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it; the handler's type is wider
    return problem(error.status_code, str(error.detail), request_id_of(request), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it; the handler's type is wider
    wrong = "; ".join(f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors())
    detail = f"The request is not as it should be ({wrong}). See /docs."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request_id_of(request))
