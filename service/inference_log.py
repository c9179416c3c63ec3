"""The inference log: a row for every image answered, held on this machine until the store has it."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa
from loguru import logger

from monitoring.schema import LogRow, read_table, write_table
from parking.errors import FolderError, MissingKeyError, MonitoringError, StoreError
from parking.lock import alone_in
from parking.storage import Store
from service.log_buffer import LogBuffer, RowTable, Segment, to_table
from service.metrics import Metrics
from service.old_spool import take_over

__all__ = ["FLUSH_SECONDS", "InferenceLog"]

FLUSH_SECONDS = 5.0
"""The longest that a row waits on this machine while the store answers. Shorter writes the hour's file more often."""


class InferenceLog:
    """Takes rows into a buffer on disk, and copies them to the store every few seconds in a thread of its own.

    Rows wait where the store is down, and in the next process where this one ends.
    """

    def __init__(
        self, open_store: Callable[[], Store], buffer: LogBuffer, metrics: Metrics, *, every_seconds: float
    ) -> None:
        """A log that writes from `start` on.

        Args:
            open_store: called in the background, whenever rows are written: a store that is down stops nothing.
            buffer: where rows wait.
            metrics: where they are counted.
            every_seconds: the longest that a row waits, while the store answers.
        """
        self._open_store = open_store
        self._buffer = buffer
        self._metrics = metrics
        self._every = every_seconds
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="inference-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, row: LogRow) -> None:
        """Take a row; never waits for the store. When this returns the row outlives the process."""
        self._metrics.log.lost.inc(self._buffer.add(row))
        self._metrics.log.pending.set(self._buffer.waiting())

    def wake(self) -> None:
        """Write now what waits, instead of at the next time; does not wait for it."""
        self._woken.set()

    def flush(self) -> None:
        """Write what waits, of this process and of those that ended; on failure it goes on waiting."""
        with suppress(FolderError), alone_in(self._buffer.folder / "sender"):
            # If another process is sending, it sends these rows, too.
            self._send()
        self._measure()

    def close(self, seconds: float = 5.0) -> None:
        """Stop, and write what is left; what the store does not take in time waits on disk for the next start."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        else:
            self.flush()
        waiting = self._buffer.waiting()
        if waiting:
            lost = self._buffer.in_memory()
            logger.error("{} log rows wait in {}, {} are lost", waiting - lost, self._buffer.folder, lost)
            self._metrics.log.lost.inc(lost)
        if not self._thread.is_alive():
            self._buffer.close()

    def _send(self) -> None:
        try:
            if found := take_over(self._buffer.folder, self._buffer.tables[0]):
                logger.info("{} log rows of an older version are taken over", found)
            self._buffer.settle()
        except (sqlite3.Error, OSError) as error:
            logger.warning("Log rows of an older version wait on: {}", error)
        for table in self._buffer.tables:
            try:
                for segment in table.unsent():
                    self._metrics.log.written.inc(self._write(table, segment))
                table.drop_finished(datetime.now(UTC))
            except StoreError as error:
                logger.warning("{} log rows wait, the store refused them: {}", self._buffer.waiting(), error)
            except sqlite3.Error as error:
                logger.warning("Log rows cannot be read from {}: {}", self._buffer.folder, error)

    def _write(self, table: RowTable, segment: Segment) -> int:
        """The whole segment again: then it is one file, and a crash in between loses no row and doubles none."""
        rows = table.rows_of(segment)
        store, found = self._open_store(), to_table(rows)
        before = _already_there(store, segment) if segment.partial else None
        if before is not None:
            found = _joined(before, found)
        write_table(store, found, date=segment.hour.date(), name=segment.name)
        new = table.mark_sent(segment, len(rows))
        return new if before is None else found.num_rows - before.num_rows

    def _write_on(self) -> None:
        self._open_early()
        while True:
            stopped = self._stopped.is_set()
            self._woken.clear()
            try:
                self.flush()
            except Exception:  # noqa: BLE001 - this thread must outlive whatever one batch brings
                logger.exception("Log rows could not be written")
            if stopped:
                return
            if not self._stopped.is_set():
                self._woken.wait(self._every)

    def _open_early(self) -> None:
        """Say at the start what is wrong with the store, and not when the first rows have come."""
        try:
            self._open_store()
        except StoreError as error:
            logger.warning("Log rows will wait on disk, the store cannot be used: {}", error)
        except Exception:  # noqa: BLE001 - as below
            logger.exception("Log rows will wait on disk, the store cannot be used")

    def _measure(self) -> None:
        self._metrics.log.pending.set(self._buffer.waiting())
        self._metrics.log.spool_bytes.set(self._buffer.used_bytes())


def _already_there(store: Store, segment: Segment) -> pa.Table | None:
    try:
        return read_table(store, date=segment.hour.date(), name=segment.name)
    except (MissingKeyError, MonitoringError):
        return None


def _joined(before: pa.Table, found: pa.Table) -> pa.Table:
    """The rows of both, each once."""
    known = set(zip(before["time"].to_pylist(), before["request_id"].to_pylist(), strict=True))
    pairs = zip(found["time"].to_pylist(), found["request_id"].to_pylist(), strict=True)
    return pa.concat_tables([before, found.filter(pa.array([pair not in known for pair in pairs], pa.bool_()))])
