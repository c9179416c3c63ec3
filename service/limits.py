"""Limits of one process: bytes of a body, inferences at once, requests that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.deadline import Deadline
from service.errors import BodyTooLargeError, BusyError
from service.metrics import RoomMetrics

__all__ = ["BodyLimit", "InferenceSlots"]

_REST_SECONDS = 10.0
"""How long an early answer waits for the rest of the body."""


class InferenceSlots:
    """As many inferences at once as the machine has room for; a few requests may wait, the rest are sent away.

    A long queue only makes every caller time out: better to say at once that one is busy.
    """

    def __init__(self, slots: int, queue: int, metrics: RoomMetrics) -> None:
        """Free slots.

        Args:
            slots: inferences at once.
            queue: requests that may wait for one.
            metrics: where they are counted.
        """
        self._free = asyncio.Semaphore(slots)
        self._large = asyncio.Semaphore(1)
        self._queue = queue
        self._waiting = 0
        self._metrics = metrics

    @asynccontextmanager
    async def one(self, deadline: Deadline, *, large: bool = False) -> AsyncIterator[None]:
        """Hold a slot; of large images one at a time, for each takes gigabytes, and its slot for a minute.

        Raises:
            BusyError: all slots are taken, and the queue is full.
            DeadlineError: none came free in time.
            CallerGoneError: nobody wants it any more.
        """
        must_wait = self._free.locked() or (large and self._large.locked())
        if must_wait and self._waiting >= self._queue:
            self._metrics.shed.inc()
            raise BusyError("Every slot is busy and the queue is full. Try again in a second.")
        self._wait(1)
        try:
            async with deadline.waiting():
                await self._acquire(large)
        finally:
            self._wait(-1)
        self._metrics.running.inc()
        try:
            yield
        finally:
            self._metrics.running.dec()
            self._free.release()
            if large:
                self._large.release()

    async def _acquire(self, large: bool) -> None:
        if large:
            await self._large.acquire()
        try:
            await self._free.acquire()
        except BaseException:
            if large:
                self._large.release()
            raise

    def _wait(self, change: int) -> None:
        self._waiting += change
        self._metrics.waiting.set(self._waiting)


class BodyLimit:
    """ASGI middleware that counts bodies while they stream in, whatever their headers say of their length.

    Each may have so many bytes, and all that are under way together so many: a request waits for a slot only once its
    image is there, and callers without number could fill the memory before they are sent away.

    An answer that comes before the end of the body, such as "too large" or "who are you", waits for the rest, which is
    thrown away: a connection that is closed on bytes that nobody read is reset, and a proxy that is still sending makes
    a 502 of that answer.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, most_together: int, metrics: RoomMetrics) -> None:
        self._app = app
        self._most = most_bytes
        self._room = _Room(most_together, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and fail it where its body grows too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._most, self._room)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.finish()
            await send(message)

        try:
            await self._app(scope, body.receive, answer)
        finally:
            self._room.give_back(body.held)


@dataclass(slots=True)
class _Room:
    """For the bodies of all requests that are under way."""

    left: int
    """Bytes."""

    metrics: RoomMetrics

    def take(self, size: int) -> None:
        """Hold so many bytes; raises BusyError where there is no room for them."""
        if size > self.left:
            self.metrics.shed.inc()
            raise BusyError("The images of others fill the memory that there is for them. Try again in a second.")
        self.left -= size
        self.metrics.upload_bytes.inc(size)

    def give_back(self, size: int) -> None:
        """Make room again, at the end of a request."""
        self.left += size
        self.metrics.upload_bytes.dec(size)


class _Body:
    """What has come of a request's body."""

    def __init__(self, scope: Scope, receive: Receive, most_bytes: int, room: _Room) -> None:
        headers = dict(scope["headers"])
        text = headers.get(b"content-length", b"0")
        self._declared = int(text) if text.isdigit() else 0
        self._ended = not self._declared and b"transfer-encoding" not in headers
        self._receive = receive
        self._most = most_bytes
        self._read = 0
        self._room = room
        self.held = 0
        """Bytes that were handed on."""

    async def receive(self) -> Message:
        """The next part.

        Raises:
            BodyTooLargeError: it is more than may come.
            BusyError: there is no room beside the bodies of others.
        """
        if self._declared > self._most:
            raise BodyTooLargeError(self._most)
        message = await self._next()
        if self._read > self._most:
            raise BodyTooLargeError(self._most)
        size = len(message.get("body", b""))
        self._room.take(size)
        self.held += size
        return message

    async def finish(self) -> None:
        """Throw the rest away, where it is not much and comes soon."""
        # No less than the chart's proxy lets through: twice the limit, in whole MiB.
        enough = 2 * (self._most + 2**20)
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                while not self._ended and max(self._read, self._declared) <= enough:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message
