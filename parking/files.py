"""Files that are there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "PARTIAL",
    "whole",
    "write_whole",
]

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
