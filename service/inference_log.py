"""The inference log: a row for every image answered, written to the store behind the answers' back."""

import threading
from collections.abc import Callable

from loguru import logger

from monitoring.schema import LogRow, write_table
from parking.errors import StoreError
from parking.storage import Store
from service.metrics import Metrics
from service.spool import Spool


class InferenceLog:
    """Takes rows into a spool on disk, and copies them to the store every few seconds in a thread of its own.

    Rows wait where the store is down, and in the next process where this one ends.
    """

    def __init__(
        self, open_store: Callable[[], Store], spool: Spool, metrics: Metrics, *, every_seconds: float
    ) -> None:
        """A log that writes from `start` on.

        Args:
            open_store: called in the background, whenever rows are written: a store that is down stops nothing.
            spool: where rows wait.
            metrics: where they are counted.
            every_seconds: the longest that a row waits, while the store answers.
        """
        self._open_store = open_store
        self._spool = spool
        self._metrics = metrics
        self._every = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="inference-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, row: LogRow) -> None:
        """Take a row; never waits for the store."""
        self._metrics.log.lost.inc(self._spool.append(row))
        self._measure()

    def flush(self) -> None:
        """Write what waits, of this process and of those that ended; on failure it goes on waiting."""
        if found := self._spool.adopt():
            logger.info("{} log rows of a process that ended are taken over", found)
        try:
            for segment in self._spool.unsent():
                # The whole hour again: then it is one file, and a crash in between costs and doubles nothing.
                table = self._spool.rows_of(segment)
                write_table(self._open_store(), table, date=segment.hour.date(), name=segment.name)
                self._metrics.log.written.inc(self._spool.sent(segment, table.num_rows))
        except StoreError as error:
            logger.warning("{} log rows wait, the store refused them: {}", self._spool.waiting, error)
        self._measure()

    def close(self) -> None:
        """Stop, and write what is left; what the store does not take waits on disk for the next start."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        if waiting := self._spool.waiting:
            lost = self._spool.close()
            logger.error("{} log rows wait in {}, {} are lost", waiting - lost, self._spool.folder, lost)
            self._metrics.log.lost.inc(lost)
        else:
            self._spool.close()

    def _write_on(self) -> None:
        self._open_early()
        while not self._stopped.is_set():
            try:
                self.flush()
            except Exception:  # noqa: BLE001 - this thread must outlive whatever one batch brings
                logger.exception("Log rows could not be written")
            self._stopped.wait(self._every)

    def _open_early(self) -> None:
        """Say at the start what is wrong with the store, and not when the first rows have come."""
        try:
            self._open_store()
        except StoreError as error:
            logger.warning("Log rows will wait on disk, the store cannot be used: {}", error)
        except Exception:  # noqa: BLE001 - as below
            logger.exception("Log rows will wait on disk, the store cannot be used")

    def _measure(self) -> None:
        self._metrics.log.pending.set(self._spool.waiting)
        self._metrics.log.spool_bytes.set(self._spool.size)
