"""Log rows on this machine's disk until the store has them: they outlive the process and a store that is down."""

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from loguru import logger

from monitoring.schema import LogRow, table_of
from service.buffer_file import BufferFile

__all__ = ["ROWS_PER_MIB", "LogBuffer", "RowTable", "Segment", "to_table"]

ROWS_PER_MIB = 1_000
"""What a row takes on disk with its keys is a little less than a thousandth of that."""
SEGMENT_ROWS = 5_000
"""Rows of one file in the store: it is written again as a whole when rows come, so its size is limited."""
_SHARES = 8
"""A segment is at most this part of the bound, so that dropping the oldest costs no more than one part."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY, hour TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0, partial INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, segment TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rows_of_segment ON rows (segment);
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one hour that are one file in the store, always under the same key: written again, it doubles nothing."""

    name: str
    """Of its key in the store."""
    hour: datetime
    """UTC."""
    held: int
    """Rows."""
    sent: int
    """Rows that the store has."""
    partial: bool
    """Whether the store's file may hold rows that are not here: it was begun by an older version's spool."""


def hour_of(time: datetime) -> datetime:
    """The hour (UTC) that a time lies in."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


class RowTable:
    """Rows and their segments in one database, on disk or in memory. Every method raises sqlite3.Error."""

    def __init__(self, path: Path | None, most_rows: int) -> None:
        """An empty table, or what was left in the file.

        Args:
            path: of the file; None for memory.
            most_rows: beyond them the oldest waiting rows are dropped.
        """
        self.file = BufferFile(path, _SCHEMA)
        self._most = most_rows
        self._segment_rows = max(1, min(SEGMENT_ROWS, most_rows // _SHARES))

    def add(self, row: LogRow, key: str) -> int:
        """Take a row, once by its key; returns how many older ones were dropped for it."""
        with self.file.transaction() as database:
            segment = self._segment_for(database, hour_of(row.time))
            _insert(database, segment, key, body_of(row))
            return self._give_up_oldest(database)

    def add_segment(self, segment: Segment, rows: Sequence[tuple[str, str]]) -> None:
        """Take rows that may have a file in the store already: it keeps its name, and gets no others.

        Args:
            segment: names the file.
            rows: key and body of each.
        """
        with self.file.transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO segments (name, hour, sent, closed, partial) VALUES (?, ?, ?, 1, ?)",
                (segment.name, segment.hour.isoformat(), segment.sent, segment.partial),
            )
            for key, body in rows:
                _insert(database, segment.name, key, body)

    def unsent(self) -> list[Segment]:
        """Segments with rows that the store does not have, the oldest first."""
        with self.file.transaction() as database:
            found = database.execute(
                "SELECT name, hour, held, sent, partial FROM segments WHERE sent < held ORDER BY hour, rowid"
            ).fetchall()
        return [_segment(*one) for one in found]

    def rows_of(self, segment: Segment) -> list[tuple[str, str]]:
        """Key and body of all rows of a segment, those that the store has, too."""
        with self.file.transaction() as database:
            query = "SELECT key, body FROM rows WHERE segment = ? ORDER BY number"
            return database.execute(query, (segment.name,)).fetchall()

    def mark_sent(self, segment: Segment, rows: int) -> int:
        """The store has so many rows of a segment; returns how many of them are new to it."""
        with self.file.transaction() as database:
            before = database.execute("SELECT sent FROM segments WHERE name = ?", (segment.name,)).fetchone()
            database.execute("UPDATE segments SET sent = max(sent, ?) WHERE name = ?", (rows, segment.name))
        return max(0, rows - before[0]) if before else 0

    def drop_finished(self, now: datetime) -> None:
        """Forget segments that the store has whole and that get no more rows."""
        with self.file.transaction() as database:
            finished = database.execute(
                "SELECT name FROM segments WHERE sent >= held AND (hour <> ? OR held >= ? OR closed)",
                (hour_of(now).isoformat(), self._segment_rows),
            ).fetchall()
            for (name,) in finished:
                _drop(database, name)

    def move_to(self, other: "RowTable") -> None:
        """Move all rows to another table; rows that it does not take stay. No row comes in between."""
        with self.file.transaction() as database:
            for segment in self.unsent():
                other.add_segment(segment, self.rows_of(segment))
                _drop(database, segment.name)

    def waiting(self) -> int:
        """Rows that the store does not have."""
        with self.file.transaction() as database:
            return int(database.execute("SELECT coalesce(sum(held - sent), 0) FROM segments").fetchone()[0])

    def _segment_for(self, database: sqlite3.Connection, hour: datetime) -> str:
        """The name of the segment that takes rows of an hour."""
        found = database.execute(
            "SELECT name FROM segments WHERE hour = ? AND held < ? AND NOT closed LIMIT 1",
            (hour.isoformat(), self._segment_rows),
        ).fetchone()
        name = str(found[0]) if found else f"{hour:%Y%m%dT%H}-{uuid.uuid4().hex[:12]}"
        database.execute("INSERT OR IGNORE INTO segments (name, hour) VALUES (?, ?)", (name, hour.isoformat()))
        return name

    def _give_up_oldest(self, database: sqlite3.Connection) -> int:
        lost = 0
        query = "SELECT name, hour, held, sent FROM segments ORDER BY sent < held, hour, rowid"
        while _count(database) > self._most and len(segments := database.execute(query).fetchall()) > 1:
            # Those that the store has whole go first, and cost nothing.
            name, hour, held, sent = segments[0]
            _drop(database, name)
            if sent < held:
                logger.error("{} log rows of {} are dropped: the buffer is full", held - sent, hour[:16])
                lost += held - sent
        return lost


class LogBuffer:
    """Takes each row in a transaction of its own: on disk, or in memory for as long as the disk refuses.

    The same folder may serve several processes: a row is in one segment, and one process at a time sends them.
    """

    def __init__(self, folder: Path, *, most_rows: int) -> None:
        """A buffer that holds what the last process left in the folder.

        Args:
            folder: where the file lies.
            most_rows: beyond them the oldest waiting rows are dropped.
        """
        self.folder = folder
        self._disk = RowTable(folder / "rows.db", most_rows)
        self._memory = RowTable(None, most_rows)
        self._refused = False

    @property
    def tables(self) -> tuple[RowTable, RowTable]:
        """What is on disk, and what is not."""
        return self._disk, self._memory

    def add(self, row: LogRow) -> int:
        """Take a row; returns how many older ones were dropped for it."""
        key = row.answer_id or uuid.uuid4().hex
        try:
            lost = self._disk.add(row, key)
        except sqlite3.Error as error:
            if not self._refused:
                logger.warning("Log rows wait in memory only: {} ({})", self.folder, error)
            self._refused = True
            return self._memory.add(row, key)
        self._refused = False
        return lost

    def settle(self) -> None:
        """Move to the disk what is in memory only, if the disk takes it again; each segment keeps its name."""
        if not self.in_memory():
            return
        try:
            self._memory.move_to(self._disk)
        except sqlite3.Error as error:
            logger.warning("{} log rows wait in memory only: {}", self.in_memory(), error)
        else:
            self._refused = False

    def waiting(self) -> int:
        """Rows that the store does not have."""
        try:
            return self.in_memory() + self._disk.waiting()
        except sqlite3.Error:
            return self.in_memory()

    def in_memory(self) -> int:
        """Rows that the store does not have and that end with the process."""
        return self._memory.waiting()

    def used_bytes(self) -> int:
        """Bytes of what is held, in memory and on disk."""
        return sum(table.file.used_bytes() for table in self.tables)

    def close(self) -> int:
        """Close the file; returns how many rows waited in memory only, and are lost."""
        lost = self.in_memory()
        for table in self.tables:
            table.file.close()
        return lost


def body_of(row: LogRow) -> str:
    """A row as it is held."""
    return json.dumps({**asdict(row), "time": row.time.isoformat()})


def to_table(rows: Sequence[tuple[str, str]]) -> pa.Table:
    """Rows as they are held, as a table of the log."""
    found = [json.loads(body) for _, body in rows]
    return table_of([{**row, "time": datetime.fromisoformat(row["time"])} for row in found])


def _insert(database: sqlite3.Connection, segment: str, key: str, body: str) -> None:
    new = database.execute(
        "INSERT OR IGNORE INTO rows (key, segment, body) VALUES (?, ?, ?)", (key, segment, body)
    ).rowcount
    database.execute("UPDATE segments SET held = held + ? WHERE name = ?", (new, segment))


def _drop(database: sqlite3.Connection, name: str) -> None:
    database.execute("DELETE FROM rows WHERE segment = ?", (name,))
    database.execute("DELETE FROM segments WHERE name = ?", (name,))


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT coalesce(sum(held), 0) FROM segments").fetchone()[0])


def _segment(name: str, hour: str, held: int, sent: int, partial: int) -> Segment:
    return Segment(name, datetime.fromisoformat(hour), held, sent, bool(partial))
