"""Tiles of a survey's imagery, one read at a time, within limits and a deadline as all else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from service.deadline import Deadline
from service.errors import BusyError

__all__ = ["LATER", "TileReader"]

MOST_WAITING = 64
"""Tiles that wait or are being read at once: a large screen's worth, twice."""
LATER = "Zoom in, or ask again when the service has less to do."


class TileReader:
    """Reads in a thread of its own, so that neither the event loop nor an inference waits for a disk or a bucket."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="survey-imagery")
        self._under_way = 0

    async def read(self, work: Callable[[], bytes], deadline: Deadline) -> bytes:
        """The tile that `work` makes; where its caller has gone before it began, it never begins.

        Raises:
            BusyError: too many are asked for already.
            DeadlineError: it took too long.
        """
        if self._under_way >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} tiles of imagery are asked for already. Try again in a second.")
        self._under_way += 1
        try:
            async with deadline.waiting():
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
