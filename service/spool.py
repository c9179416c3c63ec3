"""Log rows on this machine's disk until the store has them: they outlive the process and a store that is down."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from loguru import logger

from monitoring.schema import LogRow
from service.segment import Segment, adopt_segments, hour_of

SHARES = 8
"""A segment is closed at this part of the bound, so that giving up the oldest costs no more than one part."""


class Spool:
    """The segments of one process, and those that it found without an owner. Safe to use from several threads.

    A row is in its file before `append` returns; nothing is synced to the disk, so it is lost when the machine dies
    but not when the process does.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """A spool that is empty until rows come, or until `adopt`.

        Args:
            folder: where the files lie; other processes may use it, too.
            most_bytes: beyond them the oldest rows that wait are given up.
        """
        self.folder = folder
        self._most_bytes = most_bytes
        self._segments: list[Segment] = []
        self._open: Segment | None = None
        self._lock = threading.RLock()

    def append(self, row: LogRow) -> int:
        """Take a row; returns how many older ones were given up for it."""
        with self._lock:
            hour = hour_of(row.time)
            if self._open is None or self._open.hour != hour or self._open.size >= self._most_bytes / SHARES:
                self._close_open()
                self._open = Segment.create(self.folder, hour)
                self._segments.append(self._open)
            self._open.append(row)
            return self._give_up_oldest()

    def adopt(self) -> int:
        """Take over the files of processes that ended; returns how many rows are in them."""
        with self._lock:
            known = {segment.name for segment in self._segments}
            found = list(adopt_segments(self.folder, known))
            self._segments = sorted([*found, *self._segments], key=lambda segment: segment.hour)
            return sum(segment.waiting for segment in found)

    def unsent(self) -> Iterator[Segment]:
        """Segments with rows that the store does not have, the oldest first."""
        with self._lock:
            waiting = [segment for segment in self._segments if segment.waiting]
        yield from waiting

    def rows_of(self, segment: Segment) -> pa.Table:
        """All rows of a segment, those that the store has, too."""
        with self._lock:
            return segment.table()

    def sent(self, segment: Segment, rows: int) -> int:
        """The store has so many rows of a segment, which goes if it is closed and has no others.

        Returns:
            How many of them are new to the store.
        """
        with self._lock:
            new = segment.mark_sent(rows)
            if segment is not self._open and segment in self._segments and not segment.waiting:
                self._drop(segment)
            return new

    @property
    def waiting(self) -> int:
        """Rows that the store does not have."""
        with self._lock:
            return sum(segment.waiting for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def close(self) -> int:
        """Let go of the files; returns how many rows wait in memory alone, and are lost."""
        with self._lock:
            self._close_open()
            lost = sum(segment.waiting for segment in self._segments if not segment.on_disk)
            for segment in self._segments:
                segment.release()
            self._segments.clear()
            return lost

    def _close_open(self) -> None:
        closed, self._open = self._open, None
        if closed is not None:
            if closed.waiting:
                closed.forget()
            else:
                self._drop(closed)

    def _give_up_oldest(self) -> int:
        lost = 0
        while self.size > self._most_bytes and self._segments[0] is not self._open:
            oldest = self._segments[0]
            logger.error("{} log rows of {:%H:%M} are given up: the spool is full", oldest.waiting, oldest.hour)
            lost += oldest.waiting
            self._drop(oldest)
        return lost

    def _drop(self, segment: Segment) -> None:
        segment.remove()
        self._segments.remove(segment)
