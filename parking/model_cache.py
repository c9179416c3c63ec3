"""Files of registered models on this machine: a folder a version, and which of them may go."""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from loguru import logger

__all__ = ["RECENT_SECONDS", "mark_used", "remove_others", "version_folder"]

RECENT_SECONDS = 3600.0
"""What was fetched within this time may be about to be opened, by this process or by another on the same folder."""


def version_folder(cache: Path, name: str, number: int) -> Path:
    """Where the files of one version of a model lie."""
    return cache / name / str(number)


def mark_used(file: Path) -> None:
    """Let a file count as fetched now; one that is not there is none to mark."""
    with suppress(OSError):
        os.utime(file)


def remove_others(cache: Path, name: str, keep: Collection[int]) -> None:
    """Remove the folders of a model's versions that are neither to be kept nor recent; other models' are left alone.

    What cannot be removed is left, and told: a full disk is no reason to stop serving.
    """
    for folder in _version_folders(cache / name):
        if int(folder.name) in keep or _is_recent(folder):
            continue
        try:
            shutil.rmtree(folder)
            logger.info("Removed the files of version {} of {}: nothing needs them any more.", folder.name, name)
        except OSError as error:
            logger.warning("The files of an old version in {} cannot be removed: {}", folder, error.strerror or error)


def _version_folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]


def _is_recent(folder: Path) -> bool:
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        # Something comes or goes in it this very moment.
        return True
    return time.time() - newest < RECENT_SECONDS
