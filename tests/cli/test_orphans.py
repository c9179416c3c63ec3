"""A platform that was killed: the next one finds its servers, names them and ends them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.orphans import left_running
from cli.platform import alone_on
from cli.session import PLATFORM
from parking.errors import PlatformError
from parking.lock import is_held

pytestmark = pytest.mark.e2e

UP = """
import sys, time
from pathlib import Path
from cli.platform import alone_on
from cli.servers import Server, Servers
from cli.session import PLATFORM
state, deaf = Path(sys.argv[1]), []
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
with alone_on(state) as lock, Servers(lambda *line: deaf.append(line), lock, state / PLATFORM) as servers:
    for name in ("prefect", "service"):
        servers.start(Server(name, [sys.executable, "-c", DEAF]))
    while len(deaf) < 2:
        time.sleep(0.01)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers here do not hear SIGTERM: they would be ended by their supervisors before they are looked for."""
    monkeypatch.setattr("cli.orphans.GRACE_SECONDS", 0.3)


def up(state: Path) -> "subprocess.Popen[str]":
    """A platform of two servers, once it runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", UP, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_platform_that_runs_lets_no_second_one_in(tmp_path: Path) -> None:
    first = up(tmp_path)
    assert left_running(tmp_path / PLATFORM) == []
    try:
        with pytest.raises(PlatformError, match=r"runs on .* already"), alone_on(tmp_path):
            pass
    finally:
        first.kill()
        first.communicate()
    with alone_on(tmp_path):
        pass


def test_the_servers_of_a_killed_platform_are_named_and_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = up(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert is_held(tmp_path / PLATFORM), "its servers use the state, though it is gone"
    with alone_on(tmp_path):
        told = capsys.readouterr().out
    assert "prefect (" in told
    assert "service (" in told
    assert left_running(tmp_path / PLATFORM) == []


@pytest.mark.parametrize("record", ["", "{", "[]", '[{"name": "up", "pid": 1, "command": []}]'])
def test_servers_that_nobody_wrote_down_are_not_touched(tmp_path: Path, record: str) -> None:
    killed = up(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    written = (tmp_path / PLATFORM / "servers.json").read_text()
    (tmp_path / PLATFORM / "servers.json").write_text(record)
    with pytest.raises(PlatformError, match="already"), alone_on(tmp_path):
        pass
    (tmp_path / PLATFORM / "servers.json").write_text(written)
    with alone_on(tmp_path):
        pass
