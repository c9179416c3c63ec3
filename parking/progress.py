"""How long work tells how far it is, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`; a command draws a bar with it, a flow writes a log line."""


def silent(done: int, total: int, what: str) -> None:
    """A `Progress` for those who do not listen."""
