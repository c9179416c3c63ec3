"""One process at a time in a folder whose work is gone on with."""

import fcntl
import os
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from parking.errors import FolderError

__all__ = [
    "LOCK",
    "alone_in",
    "is_held",
]

LOCK = ".lock"
_held: set[int] = set()
_PROCESS = re.compile(r"process (\d+) on (\S+) ")


@contextmanager
def alone_in(folder: Path) -> Iterator[int]:
    """Hold a folder for the block; it is made where there is none.

    The lock is the operating system's: it goes with the process, however that ends, and no stale one is ever left.
    The block may rename or remove the folder.

    Yields:
        The file descriptor that holds it: a child to which it is passed holds the folder, too, for as long as it lives.

    Raises:
        FolderError: somebody holds it, and the message says who; or it cannot be written.
    """
    handle = _take(folder)
    _held.add(handle)
    try:
        yield handle
    finally:
        _held.discard(handle)
        with suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether somebody holds a folder at this moment."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_free(handle)
    finally:
        os.close(handle)


def _is_free(handle: int) -> bool:
    """Whether nobody holds it alone. To ask shares it for a moment, which `_try_to_take` tells from holding it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def _take(folder: Path) -> int:
    handle = None
    while handle is None:
        handle = _try_to_take(folder)
    return handle


def _try_to_take(folder: Path) -> int | None:
    """A handle that holds the folder; none where it is worth another try."""
    handle = _open(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        try:
            if _is_free(handle):
                # Somebody only asked whether it is held, this very moment. Never in step with another who tries.
                time.sleep(random.uniform(0, 0.002))  # noqa: S311 - spreads load, guards nothing
                return None
            raise _in_use(folder, _holder(handle)) from error
        finally:
            os.close(handle)
    if not _is_still_there(handle, folder):
        # Its holder moved it away this very moment.
        os.close(handle)
        return None
    _sign(handle)
    return handle


def _open(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise FolderError(f"{folder} is no folder to work in ({error.strerror or error}): name another.") from error


def _is_still_there(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), (folder / LOCK).stat())
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    """Leave word of who holds it."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0)


def _holder(handle: int) -> str:
    """Who holds it, in words; empty where that is not known: who holds it now may not have signed yet."""
    said = os.pread(handle, 200, 0).decode(errors="replace")
    named = _PROCESS.match(said)
    if named is not None and named[2] == socket.gethostname():
        try:
            os.kill(int(named[1]), 0)
        except ProcessLookupError:
            return f"a child of {said}, which has ended,"
        except (PermissionError, OverflowError):
            return said
    return said


def _in_use(folder: Path, holder: str) -> FolderError:
    return FolderError(
        f"The same work is under way: {holder or 'another process'} holds {folder}. Wait for its result, "
        "or stop it and start again: what it has done so far is gone on with."
    )


def _let_go_in_child() -> None:
    """A forked child, such as a loader of images, may outlive its parent by seconds: it must not hold on."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
