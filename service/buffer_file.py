"""A SQLite database on this machine, in which rows wait between a request and the store."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

__all__ = ["BufferFile"]

_BUSY_SECONDS = 2.0
"""How long to wait for another process that writes to the same file."""


class BufferFile:
    """A database that is opened when it is first used, and again after a failure. Safe to use from several threads.

    What a transaction wrote outlives the process, however that ends, but not the machine: nothing is synced before the
    log is checkpointed (`synchronous=NORMAL`), which would cost each request a wait for the disk.
    """

    def __init__(self, path: Path | None, schema: str) -> None:
        """Opens nothing yet.

        Args:
            path: of the file; None for one in memory, which ends with the process.
            schema: SQL that makes the tables where there are none.
        """
        self.path = path
        self._schema = schema
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The database, for a block that is written whole or not at all.

        Raises:
            sqlite3.Error: the disk is full, refuses, or the file is damaged; a damaged one is moved aside.
        """
        with self._lock:
            try:
                connection = self._open()
                with connection:
                    yield connection
            except sqlite3.DatabaseError as error:
                if _is_damage(error):
                    self._move_aside(error)
                raise

    def used_bytes(self) -> int:
        """Bytes of what is in it; 0 where it cannot be read."""
        try:
            with self.transaction() as database:
                pages, free, size = (
                    int(database.execute(f"PRAGMA {name}").fetchone()[0])
                    for name in ("page_count", "freelist_count", "page_size")
                )
        except sqlite3.Error:
            return 0
        return (pages - free) * size

    def close(self) -> None:
        """Close the file; the next transaction opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            made = self._connect()
            try:
                if self.path is not None:
                    made.execute("PRAGMA journal_mode=WAL")
                    made.execute("PRAGMA synchronous=NORMAL")
                made.executescript(self._schema)
            except BaseException:
                made.close()
                raise
            self._connection = made
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self.path is None:
            return sqlite3.connect(":memory:", check_same_thread=False, isolation_level="IMMEDIATE")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Readable by this user only: it has request ids, and images where they are kept.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise sqlite3.OperationalError(f"{self.path} cannot be opened: {error.strerror or error}") from error
        return sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level="IMMEDIATE")

    def _move_aside(self, error: sqlite3.Error) -> None:
        """Move a damaged file aside, so that a person can examine it, and begin with a new one."""
        self.close()
        if self.path is None:
            return
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        try:
            self.path.rename(aside)
            for ending in ("-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        except OSError as refused:
            logger.error("{} is damaged ({}) and cannot be moved aside: {}", self.path, error, refused)
        else:
            logger.error(
                "{} was damaged ({}): it lies in {} now, and rows in it are in no report", self.path, error, aside
            )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
