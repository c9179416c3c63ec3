"""The folder of a survey: its files, and below `.survey` its state, from which a later run continues."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from parking.errors import MissingKeyError, ParkingError, SurveyError
from parking.lock import alone_in
from parking.storage import FolderStore, Store
from parking.workdir import workdir

WORK = ".survey"
"""Folder of a survey's state, below its own folder."""
SUMMARY = "survey.json"
FRAME, CHECKSUMS = f"{WORK}/frame.json", f"{WORK}/checksums.json"
_LEAST_FREE = 2**20
"""Bytes of free space below which a failed write is taken for a full disk."""
T = TypeVar("T")


def read_json(store: Store, key: str, kind: TypeAdapter[T]) -> T | None:
    """The value of a key in the survey's folder; None if there is none.

    Raises:
        SurveyError: it is damaged.
    """
    try:
        return kind.validate_json(store.read(key))
    except MissingKeyError:
        return None
    except ValueError as error:
        raise SurveyError(f"'{key}' in {store.url} is damaged ({error}). Remove the folder {WORK} there.") from error


def imagery_folder(store: Store) -> Path:
    """Where tiles of servers are kept: in the survey's folder or, where that is a bucket, on this machine."""
    if isinstance(store, FolderStore):
        return store.root.absolute() / WORK / "imagery"
    return workdir(f"survey-{hashlib.sha256(store.url.encode()).hexdigest()[:16]}") / "imagery"


def block_key(name: str) -> str:
    """Where a finished block is kept, by its fingerprint."""
    return f"{WORK}/blocks/{name}.parquet"


@contextmanager
def alone_in_survey(store: Store) -> Iterator[None]:
    """Lock a survey's folder for the duration of the block; a bucket cannot be locked.

    Raises:
        FolderError: another run holds it.
    """
    if not isinstance(store, FolderStore):
        yield
        return
    with alone_in(store.root / WORK):
        yield


@contextmanager
def staging(store: Store) -> Iterator[Path]:
    """A temporary folder, on the same disk as the result if that is a folder."""
    if isinstance(store, FolderStore):
        folder = store.root / WORK / "staging"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            with _told_if_full(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with tempfile.TemporaryDirectory(prefix="parking-survey-") as name, _told_if_full(Path(name)):
        yield Path(name)


@contextmanager
def _told_if_full(folder: Path) -> Iterator[None]:
    """Recognise a full disk by its free space: Arrow, GDAL and SQLite each raise an error of their own.

    Raises:
        SurveyError: it is.
    """
    try:
        yield
    except ParkingError:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or shutil.disk_usage(folder).free < _LEAST_FREE:
            raise SurveyError(
                f"No space is left for the survey's files in {folder.parent}: they are as they were before. Free some "
                "space and run the same command again; the blocks are kept."
            ) from error
        raise


def publish(store: Store, folder: Path, files: list[str]) -> None:
    """Move the files to their places, each as a whole; the summary is last."""
    for name in files:
        if isinstance(store, FolderStore):
            (folder / name).replace(store.root / name)
        else:
            store.write(name, (folder / name).read_bytes())


def forget_other_blocks(store: Store, current: set[str]) -> None:
    """Remove blocks of older imagery and models."""
    for key in list(store.keys(f"{WORK}/blocks/")):
        if key.rpartition("/")[2].removesuffix(".parquet") not in current:
            store.delete(key)
