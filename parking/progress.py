"""How long work tells how far it is, without knowing who listens, and hears that it is to end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

__all__ = ["Progress", "listener", "listening", "report", "silent", "stop"]

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`; a command draws a bar with it, a flow writes a log line."""


def silent(done: int, total: int, what: str) -> None:
    """A `Progress` for those who do not listen."""


_stopping = Event()

_listener: ContextVar[Progress] = ContextVar("progress", default=silent)


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Send what is reported inside the block, also by flows and their tasks, to `progress`."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Progress:
    """Whoever listens in this context."""
    return _listener.get()


def report(done: int, total: int, what: str) -> None:
    """A `Progress` that passes on to whoever listens in this context.

    Raises:
        KeyboardInterrupt: the process is to end; threads hear of it here, which no signal reaches.
    """
    if _stopping.is_set():
        raise KeyboardInterrupt
    _listener.get()(done, total, what)


def stop() -> None:
    """Have all work in this process end at its next report."""
    _stopping.set()
