"""Files that a person asks a command for."""

import os
from pathlib import Path

from parking.errors import OutputError
from parking.files import write_whole


def check_writable(path: Path) -> None:
    """Make a file's folder, before the work that the file shall hold.

    Raises:
        OutputError: the folder cannot be made or written to, or the path is a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    if path.is_dir():
        raise _refused(path, "it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _refused(path, "no permission")


def write_file(path: Path, data: bytes) -> None:
    """Write a file, and its folder where there is none.

    Raises:
        OutputError: it cannot be written there.
    """
    check_writable(path)
    try:
        write_whole(path, data)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error


def _refused(path: Path, reason: str) -> OutputError:
    return OutputError(f"{path} cannot be written ({reason}): free some space, or name another place for it.")
