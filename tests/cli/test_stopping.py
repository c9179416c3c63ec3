"""Ctrl-C and SIGTERM end a command within two seconds, whatever it does, and nothing that it started outlives it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_servers import alive

pytestmark = pytest.mark.e2e

COMMAND = """
import os, sys, threading, time
from cli import app
from cli.stopping import stops_soon
from parking.progress import report

def says(line):
    os.write(1, (line + chr(10)).encode())

def at_work():
    says("ready")
    {work}

@app.app.command()
def work():
    with stops_soon("Half of it is kept."):
        at_work()

sys.argv = ["parking", "work"]
app.main()
"""

WORK = {
    "waits": "threading.Event().wait()",
    "catches whatever comes": """
    while True:
        try:
            time.sleep(60)
        except BaseException:
            says("caught")
    """,
    "waits for a thread that never ends": """
    worker = threading.Thread(target=lambda: [time.sleep(1) for _ in range(99)])
    worker.start()
    worker.join()
    """,
    "has handed its signals to a library": """
    import signal
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: says("the library has it"))
    while True:
        time.sleep(60)
    """,
    "fails because of it": """
    try:
        time.sleep(60)
    except BaseException:
        raise ValueError("a library's own words") from None
    """,
}


@contextmanager
def at_work(script: str, **env: str) -> Iterator["subprocess.Popen[str]"]:
    """A command that has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env, start_new_session=True,
        # As a terminal starts it, also where these tests run in a shell's background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that(work: str, number: signal.Signals) -> None:
    with at_work(COMMAND.replace("{work}", work)) as process:
        asked = time.monotonic()
        os.killpg(process.pid, number)
        _, told = process.communicate(timeout=30)
        assert time.monotonic() - asked < 2.5
        assert process.returncode == 128 + number
        assert told == "Stopped. Half of it is kept.\n"


def test_work_in_threads_ends_at_its_next_report() -> None:
    work = """
    def steps():
        try:
            says("begun")
            for n in range(10_000):
                report(n, 10_000, "steps")
                time.sleep(0.01)
        except KeyboardInterrupt:
            says("unwound")
    worker = threading.Thread(target=steps)
    worker.start()
    try:
        worker.join()
    finally:
        worker.join()
    """
    with at_work(COMMAND.replace("{work}", work)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "unwound\n"


def test_the_second_signal_does_not_wait_for_the_stack() -> None:
    with at_work(COMMAND.replace("{work}", WORK["catches whatever comes"])) as process:
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert time.monotonic() - asked < 1


SERVED = """
    from cli.servers import Server, Servers
    nap = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
    with Servers(lambda name, line: says(line)) as servers:
        servers.start(Server("nap", nap))
        while True:
            time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_a_command_however_it_ends(number: signal.Signals) -> None:
    with at_work(COMMAND.replace("{work}", SERVED)) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        assert alive(server)
        process.send_signal(number)
        process.wait(timeout=30)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{server}").exists() and alive(server):
            assert time.monotonic() < deadline, "it still runs"
            time.sleep(0.05)
