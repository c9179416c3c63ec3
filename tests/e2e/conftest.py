"""The platform as a user starts it: `parking up` as a process, on a state folder and ports of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from cli.servers import free_port
from parking.data.synthetic import generate_dataset
from tests.e2e.processes import processes_on
from tests.e2e.waiting import wait_until

READY_SECONDS = 180
SETTINGS = {"PARKING_REGISTER_SHIPPED": "false", "PARKING_RETRAIN_CRON": "", "PARKING_MONITOR_CRON": ""}
"""An empty registry, and nothing that starts by itself."""


@dataclass
class Platform:
    """One `parking up`, which can be stopped and started again on the same state."""

    state: Path
    ports: tuple[int, int, int] = field(default_factory=lambda: (free_port(), free_port(), free_port()))
    process: "subprocess.Popen[str] | None" = None
    settings: dict[str, str] = field(default_factory=dict)
    """Further variables."""

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}/api"

    @property
    def mlflow(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.ports[2]}"

    def start(self) -> None:
        """Start it and return when it says that it is ready."""
        options = ("--prefect-port", "--mlflow-port", "--service-port")
        ports = [word for option, port in zip(options, self.ports, strict=True) for word in (option, str(port))]
        with (self.state.parent / "up.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "cli.app", "up", "--state", str(self.state), *ports],
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **SETTINGS, **self.settings},
            )
        wait_until(lambda: "Ready." in self.log() or self.process_ended(), READY_SECONDS, "the platform to be ready")
        assert not self.process_ended(), self.log()

    def log(self) -> str:
        return (self.state.parent / "up.log").read_text()

    def process_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> int:
        """Stop it with SIGTERM; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kill(self) -> None:
        """Leave nothing of it."""
        if self.process is not None and not self.process_ended():
            self.stop()
        for pid in self.children():
            os.kill(pid, signal.SIGKILL)

    def children(self) -> set[int]:
        """Processes anywhere on this machine that work on this state folder."""
        return processes_on(self.state)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a `parking` command on the same state."""
        return subprocess.run(
            [sys.executable, "-m", "cli.app", *words, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    def health(self) -> dict[str, object]:
        answer: dict[str, object] = httpx.get(f"{self.service}/health", timeout=10).json()
        return answer


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated scenes, annotated: a fifth of them is enough for the gate to judge by."""
    folder = tmp_path_factory.mktemp("annotated")
    generate_dataset(folder, 40, seed=5, size=256)
    return folder


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform; whatever a test leaves of it is killed in the end."""
    made = Platform(tmp_path_factory.mktemp("platform") / "state")
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def quick_recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Settings that train something, though nothing good, in seconds."""
    path = tmp_path_factory.mktemp("recipe") / "quick.json"
    small = {"encoder_weights": "none", "decoder_channels": [16, 16, 16, 8, 8], "crop": 64, "batch": 2, "steps": 6}
    path.write_text(json.dumps({**small, "tile": 256, "overlap": 32, "evaluations": 1}))
    return str(path)
