"""One process at a time in a folder whose work is gone on with."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from parking.errors import FolderError

LOCK = ".lock"
_held: set[int] = set()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for the block; it is made where there is none.

    The lock is the operating system's: it goes with the process, however that ends, and no stale one is ever left.
    The block may rename or remove the folder.

    Raises:
        FolderError: somebody holds it, and the message says who; or it cannot be written.
    """
    handle = _take(folder)
    _held.add(handle)
    try:
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether somebody holds a folder at this moment."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _take(folder: Path) -> int:
    handle = None
    while handle is None:
        handle = _try_to_take(folder)
    return handle


def _try_to_take(folder: Path) -> int | None:
    """A handle that holds the folder; none where its holder moved it away this very moment."""
    handle = _open(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode(errors="replace")
        os.close(handle)
        raise _in_use(folder, holder) from error
    if not _is_still_there(handle, folder):
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
