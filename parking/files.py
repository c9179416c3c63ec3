"""Files that are there whole or not at all."""

import os
import uuid
from pathlib import Path

PARTIAL = ".partial-"
"""How the name of a file begins that is still being written."""


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the place, sync, and rename: what was there stays until the new is complete.

    Raises:
        OSError: no space left, or refused; nothing is left behind.
    """
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
