"""Servers as child processes: started, waited for, and gone when the block ends."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from cli.servers import Server, Servers, check_port, free_port, python
from parking.errors import PlatformError

pytestmark = pytest.mark.e2e


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # It may be gone between the two looks.
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def web_server(port: int) -> Server:
    address = f"http://127.0.0.1:{port}/"
    return Server("web", python("http.server", str(port), "--bind", "127.0.0.1"), ready_url=address)


def test_a_port_in_use_is_named_with_who_wants_it_and_the_option() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PlatformError, match=rf"Port {port} on .*, wanted by MLflow, .* --mlflow-port"):
            check_port("127.0.0.1", port, "MLflow", "--mlflow-port")


def test_a_free_port_is_accepted() -> None:
    check_port("127.0.0.1", free_port(), "MLflow", "--mlflow-port")


def test_a_server_is_ready_when_it_answers() -> None:
    lines: list[tuple[str, str]] = []
    with Servers(lambda name, line: lines.append((name, line))) as servers:
        servers.start(web_server(free_port()))
        servers.wait_ready()
    assert any(name == "web" and "GET /" in line for name, line in lines)


def test_a_server_that_dies_is_named(tmp_path: Path) -> None:
    dying = Server("frail", [sys.executable, "-c", "raise SystemExit(3)"], ready_url="http://127.0.0.1:1/")
    with Servers(lambda *_: None) as servers:
        servers.start(dying)
        with pytest.raises(PlatformError, match="frail stopped with exit status 3"):
            servers.wait_ready()


def test_a_server_that_stops_later_ends_the_watch() -> None:
    brief = Server("brief", [sys.executable, "-c", "import time; time.sleep(0.3)"])
    with Servers(lambda *_: None) as servers:
        servers.start(brief)
        with pytest.raises(PlatformError, match="brief stopped"):
            servers.watch()


STUBBORN_PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def test_stopping_leaves_no_orphans_even_of_a_server_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.servers.GRACE_SECONDS", 0.5)
    lines: list[str] = []
    with Servers(lambda name, line: lines.append(line)) as servers:
        servers.start(Server("stubborn", [sys.executable, "-c", STUBBORN_PARENT]))
        while not lines:
            time.sleep(0.05)
        grandchild = int(lines[0].split()[1])
        assert alive(grandchild)
    time.sleep(0.2)
    assert not Path(f"/proc/{grandchild}").exists() or not alive(grandchild)


def test_a_server_is_asked_to_stop_while_those_that_it_needs_still_answer(tmp_path: Path) -> None:
    needy = (
        "import signal, sys, time, urllib.request\n"
        "def last_word(*_):\n"
        "    time.sleep(0.5)\n"
        "    open(sys.argv[2], 'w').write(str(urllib.request.urlopen(sys.argv[1]).status))\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, last_word)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    port, said, lines = free_port(), tmp_path / "said", list[str]()
    address = f"http://127.0.0.1:{port}"
    with Servers(lambda _, line: lines.append(line)) as servers:
        servers.start(web_server(port))
        servers.wait_ready()
        servers.start(Server("needy", [sys.executable, "-c", needy, address, str(said)]))
        while "ready" not in lines:
            time.sleep(0.05)
    assert said.read_text() == "200"
