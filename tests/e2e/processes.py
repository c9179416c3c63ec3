"""Processes that a command left running."""

import os
from pathlib import Path


def processes_on(state: Path) -> set[int]:
    """Processes anywhere on this machine that work on a state folder, but for this one."""
    mark = f"PARKING_STATE_DIR={state.resolve()}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found - {os.getpid()}
