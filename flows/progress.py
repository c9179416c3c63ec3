"""Progress of a run: on its page in Prefect and, if Prefect started it, in its log."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from loguru import logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.logs import STARTED_FOR_A_RUN
from parking.progress import Progress, listener, listening

PAGE_SECONDS, LOG_SECONDS = 5.0, 60.0
"""Least time between two updates."""


@contextmanager
def shown_in_run() -> Iterator[None]:
    """Show what the block reports as a progress artifact of its flow run, beside the listener that was there before."""
    with listening(RunProgress(listener())):
        yield


class RunProgress:
    """A `Progress` that updates the page of one run. Threads may share it."""

    def __init__(self, forward: Progress) -> None:
        self._forward = forward
        self._artifact = create_progress_artifact(0.0, key="progress", description="It begins.")
        self._lock = Lock()
        self._paged = self._logged = time.monotonic()
        self._work: tuple[int, int, float] | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        """Update page and log, but not more often than they allow."""
        self._forward(done, total, what)
        with self._lock:
            now = time.monotonic()
            told = f"{what}: {done} of {total}{self._time_left(done, total, now)}"
            is_paged, is_logged = now - self._paged >= PAGE_SECONDS, now - self._logged >= LOG_SECONDS
            self._paged = now if is_paged else self._paged
            self._logged = now if is_logged else self._logged
        if is_logged and STARTED_FOR_A_RUN in os.environ:
            logger.info("{}", told)
        if is_paged:
            self._update(100 * done / max(1, total), told)

    def _time_left(self, done: int, total: int, now: float) -> str:
        """Estimated from the speed since this piece of work began; empty while that is not known."""
        if self._work is None or total != self._work[0] or done < self._work[1]:
            self._work = (total, done, now)
        _, first, began = self._work
        if done <= first or done >= total:
            return ""
        minutes = (total - done) * (now - began) / (done - first) / 60
        return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"

    def _update(self, percent: float, told: str) -> None:
        try:
            update_progress_artifact(self._artifact, progress=percent, description=told)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - a page that cannot be written must not end the work
            logger.debug("The progress of the run cannot be shown: {!r}", error)
