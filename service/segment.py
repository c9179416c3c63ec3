"""One file of log rows: those of an hour, a JSON object a line, held by a lock while its process lives."""

import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from loguru import logger

from monitoring.schema import LOG_SCHEMA, LogRow, rows_to_table

_NAME = re.compile(r"(\d{8}T\d{2})-[0-9a-f]{12}\.jsonl")
_HOUR = "%Y%m%dT%H"


def hour_of(time: datetime) -> datetime:
    """The hour (UTC) that a time lies in."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


class Segment:
    """Rows of one hour, of which the store has the first `sent`; one key in the store holds them all.

    The key is written again as rows come, so that the log has one file an hour and process, and so that writing it
    once more after a crash changes nothing. Not safe for several threads: `Spool` sees to that.
    """

    def __init__(self, path: Path, hour: datetime, file: int | None) -> None:
        self.path = path
        self.hour = hour
        self.size = 0
        """Bytes."""
        self.on_disk = file is not None
        """Whether every row is in the file."""
        self._file = file
        self._total = 0
        self._sent = 0
        self._written = LOG_SCHEMA.empty_table()
        self._new: list[LogRow] = []
        self._in_memory = True

    @classmethod
    def create(cls, folder: Path, hour: datetime) -> "Segment":
        """An empty segment; without a file where the folder takes none: rows then wait in memory."""
        path = folder / f"{hour.strftime(_HOUR)}-{uuid.uuid4().hex[:12]}.jsonl"
        hidden = path.with_suffix(".new")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(hidden, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            # Locked before it has its name: nobody may take it for one without an owner.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError as error:
            logger.warning("Log rows wait in memory alone: {} takes no file ({})", folder, error.strerror or error)
            return cls(path, hour, None)
        return cls(path, hour, file)

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """The segment of a process that ended; None where it still runs, or where another took it over."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino != path.stat().st_ino:
                raise FileNotFoundError(path)
        except OSError:
            os.close(file)
            return None
        segment = cls(path, datetime.strptime(match[1], _HOUR).replace(tzinfo=UTC), file)
        segment._in_memory = False
        segment._total = segment._on_disk().num_rows
        segment.size = path.stat().st_size
        return segment

    @property
    def name(self) -> str:
        """Of its key in the store."""
        return self.path.stem

    @property
    def waiting(self) -> int:
        """Rows that the store does not have."""
        return self._total - self._sent

    def append(self, row: LogRow) -> None:
        """Take a row."""
        line = json.dumps({**asdict(row), "time": row.time.isoformat()}).encode() + b"\n"
        self._new.append(row)
        self._total += 1
        if self.on_disk:
            self._write(line)
        self.size += len(line)

    def table(self) -> pa.Table:
        """All its rows."""
        if not self._in_memory:
            return self._on_disk()
        if self._new:
            self._written = pa.concat_tables([self._written, rows_to_table(self._new)]).combine_chunks()
            self._new = []
        return self._written

    def mark_sent(self, rows: int) -> int:
        """The store has this many rows in all; returns how many of them are new to it."""
        new, self._sent = rows - self._sent, rows
        return new

    def forget(self) -> None:
        """No more rows come: what is on disk need not be in memory."""
        if self.on_disk:
            self._in_memory, self._new, self._written = False, [], LOG_SCHEMA.empty_table()

    def release(self) -> None:
        """Let go of the file; whoever starts next may take it over."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """The file has done its work."""
        self.path.unlink(missing_ok=True)
        self.release()

    def _write(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            if os.write(self._file, line) < len(line):
                raise OSError("the disk is full")
        except OSError as error:
            logger.warning("Log rows wait in memory alone: {} ({})", self.path, error.strerror or error)
            self.on_disk = False
            with suppress(OSError):
                os.ftruncate(self._file, self.size)

    def _on_disk(self) -> pa.Table:
        """What can be read of the file: the last line is torn where a process died writing it."""
        return pa.Table.from_pylist(list(_rows(self.path)), schema=LOG_SCHEMA)


def adopt_segments(folder: Path, known: set[str]) -> Iterator[Segment]:
    """Segments in a folder whose processes ended, but for those that are known."""
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem not in known and (segment := Segment.adopt(path)) is not None:
            if segment.waiting:
                yield segment
            else:
                segment.remove()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            row["time"] = datetime.fromisoformat(row["time"])
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("A log row of {} is torn and left out: {}", path.name, error)
        else:
            yield row
