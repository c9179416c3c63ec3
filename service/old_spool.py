"""Log rows that a version before this one left on disk: a JSON object a line, in a file an hour and process."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from service.log_buffer import RowTable, Segment, to_table

__all__ = ["take_over"]

_NAME = re.compile(r"(\d{8}T\d{2})-[0-9a-f]{12}\.jsonl")


def take_over(folder: Path, table: RowTable) -> int:
    """Move the rows of such files into a table, and remove the files; those of a process that still runs are left.

    A file's rows keep its name in the store. The store's file of that name may hold more rows than are left here, so
    the two are joined when it is written next.

    Returns:
        How many rows were found.

    Raises:
        sqlite3.Error: the table does not take them; the files stay.
    """
    found = 0
    for path in sorted(folder.glob("*.jsonl")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        with _owned(path) as owned:
            if owned:
                hour = datetime.strptime(match[1], "%Y%m%dT%H").replace(tzinfo=UTC)
                rows = list(_rows(path))
                table.add_segment(Segment(path.stem, hour, 0, 0, partial=True), rows)
                path.unlink(missing_ok=True)
                found += len(rows)
    return found


@contextmanager
def _owned(path: Path) -> Iterator[bool]:
    """Whether the process that wrote the file has ended: it locked it."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Key and body of each whole line; the last is torn where a process died writing it."""
    for line in path.read_bytes().splitlines():
        row = (f"{path.stem}-{hashlib.sha256(line).hexdigest()[:16]}", line.decode(errors="replace"))
        try:
            to_table([row])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("A log row of {} is torn and left out: {}", path.name, error)
        else:
            yield row
