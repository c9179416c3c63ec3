"""Servers under test, each a process of its own: ours, and the peers' as their documentation sets them up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers import free_ports


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    address: str
    pid: int
    seconds_to_ready: float

    def memory_mb(self, field: str) -> float:
        """`VmRSS` (now) or `VmHWM` (most so far), in MiB, of the server and its children together."""
        return sum(_memory_kb(pid, field) for pid in _family(self.pid)) / 1024


@contextmanager
def serving(command: Sequence[str], port: int, ready: str, log: Path, env: Mapping[str, str]) -> Iterator[Running]:
    """Start a server, wait until it is ready, and stop all its processes at the end."""
    address = f"http://127.0.0.1:{port}"
    started = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(
            list(command), env={**os.environ, **env}, stdout=file, stderr=file, start_new_session=True
        )
    try:
        while not _answers(address + ready):
            if process.poll() is not None or time.perf_counter() - started > 120:
                raise RuntimeError(f"{command[:4]} did not come up:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield Running(address, process.pid, time.perf_counter() - started)
    finally:
        _stop(process)


@contextmanager
def our_service(state: Path, log: Path) -> Iterator[Running]:
    """The service on a registry in a folder."""
    (port,) = free_ports(1)
    env = {"PARKING_STATE_DIR": str(state), "PARKING_REQUEST_SECONDS": "600", "PARKING_MAX_UPLOAD_MB": "128"}
    command = [sys.executable, "-c", f"from service.app import main; main('127.0.0.1', {port})"]
    with serving(command, port, "/health/ready", log, env) as running:
        yield running


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _memory_kb(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0
