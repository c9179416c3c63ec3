"""Waiting for what happens in other processes."""

import time
from collections.abc import Callable

BUSY = 4
"""How many times longer than on an idle machine anything may take on a busy one."""


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when the condition holds; fail after `BUSY` times so many seconds, saying what never came."""
    deadline = time.monotonic() + BUSY * seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {BUSY * seconds:g} s in vain for {what}"
        time.sleep(0.2)
