"""What one process takes on: bytes of a body, inferences at once, requests that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLargeError, BusyError
from service.metrics import Metrics
from service.patience import Patience


class InferenceSlots:
    """As many inferences at once as the machine has room for; a few requests may wait, the rest are sent away.

    A long queue only makes every caller time out: better to say at once that one is busy.
    """

    def __init__(self, slots: int, queue: int, metrics: Metrics) -> None:
        """Free slots.

        Args:
            slots: inferences at once.
            queue: requests that may wait for one.
            metrics: where they are counted.
        """
        self._free = asyncio.Semaphore(slots)
        self._queue = queue
        self._waiting = 0
        self._metrics = metrics

    @asynccontextmanager
    async def one(self, patience: Patience) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            BusyError: all slots are taken, and the queue is full.
            DeadlineError: none came free in time.
            CallerGoneError: nobody wants it any more.
        """
        if self._free.locked() and self._waiting >= self._queue:
            self._metrics.shed.inc()
            raise BusyError("Every slot is busy and the queue is full. Try again in a second.")
        self._wait(1)
        try:
            async with patience.waiting():
                await self._free.acquire()
        finally:
            self._wait(-1)
        self._metrics.running.inc()
        try:
            yield
        finally:
            self._metrics.running.dec()
            self._free.release()

    def _wait(self, change: int) -> None:
        self._waiting += change
        self._metrics.waiting.set(self._waiting)


class BodyLimit:
    """ASGI middleware that counts a body while it streams in, whatever its headers say of its length."""

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self._app = app
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and fail it where its body grows too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if max(read, declared) > self._most:
                raise BodyTooLargeError(self._most)
            return message

        declared = _declared_length(scope)
        await self._app(scope, counted, send)


def _declared_length(scope: Scope) -> int:
    """The Content-Length, 0 where there is none that is a number."""
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0
