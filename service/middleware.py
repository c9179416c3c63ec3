"""Around every request: its id, its log line, its time, and an answer even where the code fails."""

import asyncio
import re
import time
import uuid
from http import HTTPStatus
from urllib.parse import quote

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import FAILED, STOPPING, problem
from service.metrics import Metrics

__all__ = ["ANSWER_ID", "REQUEST_ID", "RequestContext"]

REQUEST_ID = "X-Request-ID"
ANSWER_ID = "X-Answer-ID"
_SOUND_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A label, for the log and for the caller; what is kept in the store has ids of its own."""
_RETRY = {"Retry-After": "1"}
_UNLOGGED = ("/health", "/metrics")


class RequestContext:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with an id, and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(scope)
        started, status = time.perf_counter(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # Now, not after the work that follows an answer.
                self._record(scope, status, time.perf_counter() - started)

        with logger.contextualize(request_id=request_id):
            try:
                await self._app(scope, receive, named)
            except asyncio.CancelledError:
                # uvicorn cancels requests at the end of its grace period, and would answer 500.
                if status:
                    raise
                await problem(HTTPStatus.SERVICE_UNAVAILABLE, STOPPING, request_id, _RETRY)(scope, receive, named)
            except Exception:  # noqa: BLE001 - a caller gets an answer, whatever fails
                logger.exception("{} {} failed", scope["method"], quote(scope["path"]))
                if status == 0:
                    await problem(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, request_id)(scope, receive, named)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        version = scope["state"].get("model_version", "")
        self._metrics.requests.answered.labels(route, str(status), version).inc()
        self._metrics.requests.seconds.labels(route, version).observe(seconds)
        if not scope["path"].startswith(_UNLOGGED):
            # Quoted, or a line break in it would begin a line of its own.
            logger.info("{} {} {} in {:.0f} ms", scope["method"], quote(scope["path"]), status, seconds * 1000)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _SOUND_ID.fullmatch(given) else uuid.uuid4().hex
