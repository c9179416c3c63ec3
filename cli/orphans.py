"""Servers that a killed `parking up` left running: found by a record in the state folder, named, and ended."""

import contextlib
import json
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, TypeAdapter, ValidationError

from parking.files import write_whole

if TYPE_CHECKING:
    import psutil

SERVERS = "servers.json"
GRACE_SECONDS = 10.0
"""How long they may take to stop before they are killed."""


class Recorded(BaseModel):
    """A process of the platform: `parking up` itself comes first, then its servers as they were started."""

    name: str
    pid: int
    command: list[str]


_Records = TypeAdapter(list[Recorded])


def record(folder: Path, processes: Iterable[Recorded]) -> None:
    """Write down which processes make up the platform, instead of those before."""
    write_whole(folder / SERVERS, json.dumps([one.model_dump() for one in processes], indent=1).encode())


def myself() -> Recorded:
    """This process."""
    # Part of what runs the loop; `parking serve` does without it, and a platform does not.
    import psutil

    return Recorded(name="up", pid=os.getpid(), command=psutil.Process().cmdline())


def left_running(folder: Path) -> list[Recorded]:
    """Servers of a platform whose `parking up` has ended; none where it runs, or where nothing is known."""
    try:
        parent, *servers = _Records.validate_json((folder / SERVERS).read_bytes())
    except (OSError, ValidationError, ValueError):
        return []
    return [] if _runs(parent) else [server for server in servers if _runs(server)]


def end(processes: Sequence[Recorded]) -> None:
    """Ask one group after the other to end, the last started first, wait, and kill what is left of it."""
    import psutil

    for one in reversed(processes):
        members = _group_of(one)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, number)
            psutil.wait_procs(members, timeout=GRACE_SECONDS)


def _runs(one: Recorded) -> bool:
    """Whether the process still runs, or what it started; a number that was given to another does not count."""
    return bool(_group_of(one))


def _group_of(one: Recorded) -> "list[psutil.Process]":
    """The leader of a process group, and the command that it runs, which is the end of its own command line."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.pid in (process.pid, os.getpgid(process.pid)) and _is_running(process):
                command = process.cmdline()
                if command and one.command[-len(command) :] == command:
                    found.append(process)
    return found


def _is_running(process: "psutil.Process") -> bool:
    import psutil

    return bool(process.status() != psutil.STATUS_ZOMBIE)
