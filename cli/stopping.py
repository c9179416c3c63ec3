"""Ctrl-C and SIGTERM: a command ends within two seconds, says what is kept, and leaves nothing running.

Libraries wait for threads, catch the interrupt, or take over the signal's handler. So the stack has a moment to unwind,
and then the process ends. Nothing that is kept needs more: files are written whole or not at all, and databases are
made for it.
"""

import contextlib
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cli.console import console, errors
from parking import progress

UNWIND_SECONDS = 1.2
"""How long the stack may take, so that runs are marked as ended in MLflow and Prefect where these answer."""

THREAD_SECONDS = 0.5
"""How long threads that work may take to hear of it, within that time."""

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_received = 0
_kept = ""
_cleanups: list[Callable[[], None]] = []
"""What ends the processes that this one started, without waiting."""


class StoppedError(BaseException):
    """A signal asked this process to end; no handler of errors should catch it."""


def install() -> None:
    """Make the signals unwind the stack. One that is ignored, as in a shell's background, stays so."""
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked worker: who started it has its own say.
            os._exit(128 + number)
        receive(number)
        raise StoppedError

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def receive(number: int) -> None:
    """Note the first signal, and ask work in other threads to end at its next report."""
    global _received  # one process, one end
    _received = _received or number
    progress.stop()


def was_asked() -> bool:
    """Whether a signal came."""
    return _received != 0


def on_end(kill: Callable[[], None]) -> Callable[[], None]:
    """Have `kill` called when the process ends by a signal; returns what takes it back."""
    _cleanups.append(kill)
    return lambda: _cleanups.remove(kill)


@contextmanager
def stops_soon(kept: str) -> Iterator[None]:
    """End the process within two seconds of a signal in the block, whatever the block is doing.

    Args:
        kept: what stays of the work and how to go on, in a sentence that follows "Stopped.".
    """
    global _kept  # one process, one end
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _kept = kept
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="stopping", daemon=True).start()
    try:
        yield
    finally:
        if was_asked():
            _join_threads()
        signal.set_wakeup_fd(before)
        os.close(writer)
        _kept = "" if not was_asked() else kept


def _join_threads() -> None:
    """Give work in other threads its moment, too: it hears of the signal at its next report."""
    end_of_wait = time.monotonic() + THREAD_SECONDS
    # Not by `join`: one that a signal interrupts takes its thread for ended (bpo-45274).
    while time.monotonic() < end_of_wait and any(map(_works_beside, threading.enumerate())):
        time.sleep(0.01)


def _works_beside(thread: threading.Thread) -> bool:
    return thread is not threading.current_thread() and not thread.daemon


def _watch(reader: int) -> None:
    """Wait for a signal, whoever handles it; then give the stack its moment."""
    while number := next(iter(os.read(reader, 1)), 0):
        if number in SIGNALS:
            receive(number)
            is_unwound_or_asked_again, _, _ = select.select([reader], [], [], UNWIND_SECONDS)
            if is_unwound_or_asked_again and not os.read(reader, 1):
                break
            end()
    os.close(reader)


def end() -> None:
    """Say what is kept, end what was started, and then this process, without waiting for any thread."""
    with contextlib.suppress(Exception):
        console.show_cursor()
        errors.print(f"Stopped. {_kept}".rstrip(), markup=False, soft_wrap=True)
    for kill in [*_cleanups, _kill_workers]:
        with contextlib.suppress(Exception):
            kill()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(128 + (_received or signal.SIGINT))


def _kill_workers() -> None:
    """Loaders of images, and Dask's workers."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _forget_in_child() -> None:
    """A forked child's signals are not its parent's."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_forget_in_child)
