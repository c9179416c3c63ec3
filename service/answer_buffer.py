"""Answers on this machine's disk until the store has them, so that they can be corrected after an outage, too."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from loguru import logger
from pydantic import ValidationError

from monitoring.answers import Answer, keep_answer
from parking.storage import Store
from service.buffer_file import BufferFile

__all__ = ["AnswerBuffer"]

MOST_BYTES = 256 * 2**20
"""Of answers and images that wait for the store; beyond them the oldest are dropped."""
MOST_BYTES_IN_MEMORY = 64 * 2**20
"""The same in memory, if the disk is full."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request TEXT NOT NULL, size INTEGER NOT NULL,
    body TEXT NOT NULL, image BLOB
);
"""


class AnswerTable:
    """Answers that wait, in one database, on disk or in memory. Every method raises sqlite3.Error."""

    def __init__(self, path: Path | None, most_bytes: int) -> None:
        """What was left in the file; a path of None is memory."""
        self.file = BufferFile(path, _SCHEMA)
        self._most = most_bytes

    def add(self, answer: Answer, image: bytes | None) -> int:
        """Take an answer; returns how many older ones were dropped for it."""
        body = answer.model_dump_json()
        row = (answer.answer_id, answer.request_id, len(body) + len(image or b""), body, image)
        with self.file.transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO answers (id, request, size, body, image) VALUES (?, ?, ?, ?, ?)", row
            )
            return self._give_up_oldest(database)

    def waiting(self, named: str = "") -> list[str]:
        """Ids of all that wait, or of those whose id or request has this name; the oldest first."""
        query = "SELECT id FROM answers WHERE ? IN ('', id, request) ORDER BY number"
        with self.file.transaction() as database:
            return [str(one) for (one,) in database.execute(query, (named,)).fetchall()]

    def send(self, answer_id: str, store: Store) -> None:
        """Keep one in the store, and forget it here; raises StoreError, too, and then it stays."""
        with self.file.transaction() as database:
            found = database.execute("SELECT body, image FROM answers WHERE id = ?", (answer_id,)).fetchone()
        if found is not None:
            try:
                # Twice, from here and from another thread, it is the same.
                keep_answer(store, Answer.model_validate_json(found[0]), found[1])
            except ValidationError as error:
                # Of an unknown version: it must not block the others.
                logger.error("The answer {} cannot be read and is dropped: {}", answer_id, error)
            with self.file.transaction() as database:
                database.execute("DELETE FROM answers WHERE id = ?", (answer_id,))

    def _give_up_oldest(self, database: sqlite3.Connection) -> int:
        lost = 0
        while int(database.execute("SELECT coalesce(sum(size), 0) FROM answers").fetchone()[0]) > self._most:
            lost += database.execute("DELETE FROM answers WHERE number = (SELECT min(number) FROM answers)").rowcount
        return lost


class AnswerBuffer:
    """Answers between the request and the store: on disk, or in memory for as long as the disk is full."""

    def __init__(self, folder: Path) -> None:
        """What the last process left in the folder."""
        self._disk = AnswerTable(folder / "answers.db", MOST_BYTES)
        self._memory = AnswerTable(None, MOST_BYTES_IN_MEMORY)

    def add(self, answer: Answer, image: bytes | None) -> int:
        """Take an answer; returns how many older ones, or itself, were dropped for lack of space."""
        try:
            return self._disk.add(answer, image)
        except sqlite3.Error as error:
            logger.warning("The answer {} waits in memory only: {}", answer.answer_id, error)
            return self._memory.add(answer, image)

    def send(self, open_store: Callable[[], Store], named: str = "") -> int:
        """Keep those that wait in the store: all, or those whose id or request has this name.

        Returns:
            How many.

        Raises:
            StoreError: the store refused; the rest go on waiting.
        """
        sent = 0
        for table in (self._disk, self._memory):
            try:
                for answer_id in table.waiting(named):
                    table.send(answer_id, open_store())
                    sent += 1
            except sqlite3.Error as error:
                logger.warning("Answers that wait cannot be read: {}", error)
        return sent

    def close(self) -> int:
        """Close the files; returns how many waited in memory only, and are lost."""
        lost = len(self._memory.waiting())
        for table in (self._disk, self._memory):
            table.file.close()
        return lost
