"""How long `parking serve` takes until it is ready, by what it finds.

uv run python -m tests.bench.start [--rounds N]
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from parking.registry import Registry
from parking.settings import Settings
from parking.shipped import StockedRegistry, register_shipped
from parking.tracking import Tracker
from tests.bench.servers import serving
from tests.servers import free_ports


def main() -> None:
    """Start the service in each situation by turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, mlflow_server(Path(name)) as uri:
        cases = situations(Path(name), uri)
        found = [{case: start(make(), Path(name) / "log") for case, make in cases.items()} for _ in range(rounds)]
    for case in cases:
        wall, cpu = (statistics.median(one[case][index] for one in found) for index in (0, 1))
        print(f"{case:40} ready after {wall:5.2f} s, {cpu:5.2f} s of CPU time")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}")


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """MLflow's server, with the shipped model in production."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--port", f"{port}", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/files"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with serving(command, port, "/health", folder / "mlflow.log", quiet) as running:
        name = Settings(_env_file=None).model_name
        register_shipped(Registry(running.address, name), Tracker(running.address, name, folder / "unused"))
        yield running.address


def situations(folder: Path, uri: str) -> dict[str, Callable[[], dict[str, str]]]:
    """What the service finds, by name: each makes it so, and gives the environment to start in."""

    StockedRegistry(Settings(_env_file=None, state_dir=folder / "sqlite")).resolve()
    server = {"PARKING_MLFLOW_TRACKING_URI": uri}

    def new() -> dict[str, str]:
        return {"PARKING_STATE_DIR": tempfile.mkdtemp(dir=folder)}

    def forgetful() -> dict[str, str]:
        (folder / "sqlite" / "remembered.json").unlink(missing_ok=True)
        return {"PARKING_STATE_DIR": f"{folder}/sqlite"}

    return {
        "MLflow server, a new pod": lambda: new() | server,
        "MLflow server, a version remembered": lambda: {"PARKING_STATE_DIR": f"{folder}/pod"} | server,
        "SQLite, nothing remembered": forgetful,
        "no registry at all": new,
    }


def start(env: Mapping[str, str], log: Path) -> tuple[float, float]:
    """Seconds until it is ready, and seconds of CPU time that it took until then."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cli.app", "serve", "--port", f"{port}"]
    with serving(command, port, "/health/ready", log, env) as running:
        fields = Path(f"/proc/{running.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return running.seconds_to_ready, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
