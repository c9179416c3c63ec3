"""Servers as child processes: started, waited for, their lines shown with a name in front, stopped without orphans."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cli.orphans import Recorded, myself, record
from cli.session import answers
from cli.stopping import on_end
from parking.errors import PlatformError

GRACE_SECONDS = 10.0
"""How long a server may take to stop before it is killed."""

PREFECT_READY_SECONDS = 180.0
"""How long Prefect may take to start: half a minute on an idle machine, and its tables are made in it."""

Sink = Callable[[str, str], None]
"""Called with a server's name and a line that it printed."""


@dataclass(frozen=True)
class Server:
    """One server: how to start it, and the address that says it is ready."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None
    ready_seconds: float = 120.0


def python(*arguments: str) -> list[str]:
    """A command that runs a module with this interpreter, its output unbuffered."""
    return [sys.executable, "-u", "-m", *arguments]


def check_port(host: str, port: int, who: str, option: str) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        PlatformError: names the port, who wants it and the option that changes it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PlatformError(
                f"Port {port} on {host}, wanted by {who}, cannot be used ({error.strerror}): "
                f"stop what holds it, or choose another with {option}."
            ) from error


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Servers:
    """The running children; leaving the block stops them all, last started first."""

    def __init__(self, sink: Sink, lock: int | None = None, record_in: Path | None = None) -> None:
        """No servers yet.

        Args:
            sink: takes their lines.
            lock: descriptor of a folder's lock, which each server then holds, too: see `parking.lock`.
            record_in: folder in which to write down what runs, for a platform that is started after this was killed.
        """
        self._sink = sink
        self._lock = lock
        self._record_in = record_in
        self._running: list[tuple[Server, subprocess.Popen[str]]] = []
        self._readers: list[threading.Thread] = []
        self._take_back = on_end(self.kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._take_back()

    def start(self, server: Server) -> None:
        """Start a server in a process group of its own, so that its children end with it, and all with this process."""
        child = subprocess.Popen(
            _command(server),
            env={**os.environ, **server.env},
            # Nothing is ever written: the supervisor sees it close.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=() if self._lock is None else (self._lock,),
        )
        self._running.append((server, child))
        self._record()
        reader = threading.Thread(target=self._read, args=(server, child), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _record(self) -> None:
        if self._record_in is not None:
            servers = [Recorded(name=one.name, pid=child.pid, command=_command(one)) for one, child in self._running]
            record(self._record_in, [myself(), *servers])

    def _read(self, server: Server, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None  # noqa: S101  # we asked for a pipe
        with child.stdout as lines:
            for line in lines:
                self._sink(server.name, line.rstrip())

    def wait_ready(self, *names: str) -> None:
        """Wait until these servers, or all, answer.

        Raises:
            PlatformError: one stopped or stayed silent; the message names it.
        """
        for server, child in list(self._running):
            if server.ready_url and (not names or server.name in names):
                self._wait(server, child, server.ready_url)

    def _wait(self, server: Server, child: subprocess.Popen[str], url: str) -> None:
        deadline = time.monotonic() + server.ready_seconds
        while not answers(url):
            if child.poll() is not None:
                raise PlatformError(f"{server.name} stopped with exit status {child.returncode}; its lines say why.")
            if time.monotonic() > deadline:
                raise PlatformError(f"{server.name} did not answer at {url} within {server.ready_seconds:g} s.")
            time.sleep(0.1)

    def watch(self) -> None:
        """Return only by exception: a signal of the user's, or a server that stopped by itself.

        Raises:
            PlatformError: names the server that stopped.
        """
        while True:
            for server, child in self._running:
                if child.poll() is not None:
                    raise PlatformError(f"{server.name} stopped with exit status {child.returncode}.")
            time.sleep(0.5)

    def stop(self) -> None:
        """Ask one group after the other to end, the last started first, wait, and kill what is left of it."""
        for _, child in reversed(self._running):
            # The flows tell Prefect how their runs ended: it must still be there.
            signal_group(child, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)
            signal_group(child, signal.SIGKILL)
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
        for reader in self._readers:
            reader.join(timeout=2.0)
        self._running.clear()

    def kill(self) -> None:
        """End all groups at once, without a word and without waiting."""
        for _, child in self._running:
            signal_group(child, signal.SIGKILL)


def port_of(address: str) -> str:
    """The port of an address, as text."""
    return address.rsplit(":", 1)[1]


def prefect_server(address: str, host: str, env: dict[str, str]) -> Server:
    """Prefect's server and UI; the browser gets the same address."""
    command = [*python("prefect"), "server", "start", "--host", host, "--port", port_of(address)]
    ui = {"PREFECT_UI_API_URL": f"{address}/api"}
    return Server("prefect", command, {**env, **ui}, f"{address}/api/health", PREFECT_READY_SECONDS)


def _command(server: Server) -> list[str]:
    return [*python("cli.supervisor"), *server.command]


def signal_group(child: subprocess.Popen[str], number: int) -> None:
    """Signal a child and whatever it started; nothing happens where all have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
