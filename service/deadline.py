"""How long one request's work may go on: until its deadline, and while its caller is there."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from service.errors import CallerGoneError, DeadlineError

__all__ = ["Deadline", "while_wanted"]

T = TypeVar("T")

_SMALLER = "Send a smaller image, ask again when the service has less to do, or raise PARKING_REQUEST_SECONDS."


class Deadline:
    """Shared between the event loop, which learns that the caller left, and the thread that works for it."""

    def __init__(self, seconds: float, advice: str = _SMALLER) -> None:
        """From now on.

        Args:
            seconds: until the deadline.
            advice: what to do when it has passed.
        """
        self._seconds = seconds
        self._advice = advice
        self._end = time.monotonic() + seconds
        self._gone = threading.Event()
        self._wait: asyncio.Timeout | None = None

    def check(self) -> None:
        """Let the work go on; a thread can't be stopped from outside, so it asks.

        Raises:
            CallerGoneError: nobody waits for the answer any more.
            DeadlineError: it took too long.
        """
        if self._gone.is_set():
            raise CallerGoneError("The caller went away.")
        if time.monotonic() >= self._end:
            raise self._passed()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for something, such as a body or a slot, no longer than until the deadline; raises as `check` does."""
        limit = asyncio.timeout(self._end - time.monotonic())
        try:
            async with limit as self._wait:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            # The loop's clock may be a little ahead of ours, so `check` alone would not do.
            self.check()
            raise self._passed() from error
        finally:
            self._wait = None

    def give_up(self) -> None:
        """The caller went away: end the wait now, and the work at its next check. Call it on the event loop."""
        self._gone.set()
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())

    def _passed(self) -> DeadlineError:
        return DeadlineError(f"There is no answer after {self._seconds:g} s. {self._advice}")


async def while_wanted(request: Request, deadline: Deadline, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; give up where the caller goes away meanwhile. The request's body must have been read.

    Raises:
        CallerGoneError: it did.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            deadline.give_up()
        return await working
    except asyncio.CancelledError:
        # The process stops and waits no longer: neither should the thread that works on.
        deadline.give_up()
        raise
    finally:
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
