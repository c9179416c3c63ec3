"""The inference log: a row for every image answered, written to the store behind the answers' back."""

import threading
from collections import deque
from collections.abc import Callable
from itertools import groupby

from loguru import logger

from monitoring.schema import LogRow, write_rows
from parking.errors import StoreError
from parking.storage import Store
from service.metrics import Metrics

MOST_PENDING = 10_000
"""Rows kept while the store does not answer; beyond them the oldest are given up, and counted."""


class InferenceLog:
    """Gathers rows in memory, and writes them every few seconds in a thread of its own.

    Rows wait where the store is down. `close` writes what is left.
    """

    def __init__(self, open_store: Callable[[], Store], metrics: Metrics, *, every_seconds: float) -> None:
        """A log that writes from `start` on.

        Args:
            open_store: called in the background, again until it succeeds: a store that is down stops nothing.
            metrics: where rows are counted.
            every_seconds: the longest that a row waits, while the store answers.
        """
        self._open_store = open_store
        self._metrics = metrics
        self._every = every_seconds
        self._store: Store | None = None
        self._rows: deque[LogRow] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="inference-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, row: LogRow) -> None:
        """Take a row; never waits for the store."""
        with self._lock:
            self._rows.append(row)
            if len(self._rows) > MOST_PENDING:
                self._rows.popleft()
                self._metrics.log_lost.inc()
            self._metrics.log_pending.set(len(self._rows))

    def flush(self) -> None:
        """Write all pending rows now, a file a day; on failure they go on waiting."""
        with self._lock:
            rows = sorted(self._rows, key=lambda row: row.time)
            self._rows.clear()
        for day, group in groupby(rows, key=lambda row: row.time.date()):
            of_day = list(group)
            try:
                self._store = self._store or self._open_store()
                write_rows(self._store, of_day, date=day)
                self._metrics.log_written.inc(len(of_day))
            except StoreError as error:
                logger.warning("{} log rows wait, the store refused them: {}", len(of_day), error)
                self._put_back(of_day)
        self._metrics.log_pending.set(len(self._rows))

    def close(self) -> None:
        """Stop, and write what is left."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        if self._rows:
            logger.error("{} log rows are lost: the store did not take them", len(self._rows))
            self._metrics.log_lost.inc(len(self._rows))

    def _write_on(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.flush()
            except Exception:  # noqa: BLE001 - this thread must outlive whatever one batch brings
                logger.exception("A batch of log rows could not be written")

    def _put_back(self, rows: list[LogRow]) -> None:
        with self._lock:
            room = MOST_PENDING - len(self._rows)
            self._rows.extendleft(reversed(rows[-room:] if room else []))
            self._metrics.log_lost.inc(max(0, len(rows) - room))
