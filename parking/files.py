"""Files that are there whole or not at all."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["PARTIAL", "remove_left_behind", "whole", "write_whole"]

PARTIAL = ".partial-"
"""How the name of a file begins that is still being written."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside the place, of the same suffix, to write in the block; it is renamed once that ends well.

    What was at the place stays until then, and nothing is left behind if the block raises.
    """
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the place, sync, and rename.

    Raises:
        OSError: no space left, or refused; nothing is left behind.
    """
    with whole(path) as partial, partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


LEFT_BEHIND_SECONDS = 3600.0
"""Age from which an unfinished file is nobody's: whoever wrote it was killed."""


def remove_left_behind(folder: Path) -> int:
    """Remove files below a folder that a killed process left unfinished; returns how many."""
    before, removed = time.time() - LEFT_BEHIND_SECONDS, 0
    for partial in folder.rglob(f"{PARTIAL}*"):
        with suppress(OSError):
            if partial.stat().st_mtime < before:
                partial.unlink()
                removed += 1
    return removed
