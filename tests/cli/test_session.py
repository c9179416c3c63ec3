"""Commands find the platform that runs on their state folder, and no other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.platform import alone_on, elsewhere
from cli.servers import Server, Servers, free_port
from cli.session import PLATFORM, Addresses, environment, running_platform
from parking.errors import FolderError
from parking.settings import Settings

pytestmark = pytest.mark.e2e

HEALTHY = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


@pytest.fixture(scope="module")
def somebody() -> Iterator[str]:
    """A server that answers 200 to whatever it is asked, as Prefect does of its health."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    with Servers(lambda *_: None) as servers:
        servers.start(Server("somebody", [sys.executable, "-c", HEALTHY, str(port)], ready_url=address))
        servers.wait_ready()
        yield address


def test_a_platform_is_found_while_it_runs_and_not_when_another_has_its_port(somebody: str, tmp_path: Path) -> None:
    addresses = Addresses(somebody, "http://mlflow", "http://service")
    with alone_on(tmp_path):
        assert running_platform(tmp_path) is None
        addresses.save(tmp_path)
        assert running_platform(tmp_path) == addresses
    assert running_platform(tmp_path) is None


def test_a_second_platform_on_a_state_folder_is_refused(tmp_path: Path) -> None:
    with alone_on(tmp_path):
        command = [sys.executable, "-m", "cli.app", "up", "--state", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 1
    assert f"runs on {tmp_path} already" in second.stderr.replace("\n", " ")
    with alone_on(tmp_path):
        pass
    assert (tmp_path / PLATFORM).is_dir()


def test_a_folder_that_cannot_be_held_is_not_taken_for_another_platform(tmp_path: Path) -> None:
    (tmp_path / PLATFORM).touch()
    with pytest.raises(FolderError, match="is no folder to work in"), alone_on(tmp_path):
        pass
    with pytest.raises(FolderError, match="of the block"), alone_on(tmp_path / "other"):
        raise FolderError("of the block")


def test_an_mlflow_elsewhere_is_not_ours_to_start() -> None:
    assert elsewhere(Settings(mlflow_tracking_uri="https://mlflow.example")) == "https://mlflow.example"
    assert elsewhere(Settings(mlflow_tracking_uri="sqlite:///mlflow.db")) == ""
    assert elsewhere(Settings()) == ""


def test_prefect_remembers_who_works_over_a_restart(tmp_path: Path) -> None:
    script = (
        "from prefect.server.concurrency.lease_storage import get_concurrency_lease_storage as get\n"
        "print(get().storage_path)\n"
    )
    env = {**os.environ, **environment(Settings(state_dir=tmp_path), None), "PREFECT_HOME": str(tmp_path / "home")}
    ran = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert Path(ran.stdout.strip()).parent == tmp_path / "home"


def test_a_demo_works_in_its_own_folder_whatever_platform_the_settings_name(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from cli import demo, session\n"
        "from parking.settings import get_settings\n"
        "demo.play = lambda servers, data, steps, minutes, out: session.start(out)\n"
        "demo.demo(data='generated', minutes=1.0, out=Path(sys.argv[1]))\n"
        "found = get_settings()\n"
        "print(found.tracking_uri, found.store_url, found.optuna_url, found.task_runner, found.auth)\n"
    )
    production = {
        "PARKING_MLFLOW_TRACKING_URI": "http://mlflow.prod:5000",
        "PARKING_STORE": "s3://prod/parking",
        "PARKING_STUDY_URL": "postgresql://prod/studies",
        "PARKING_TASK_RUNNER": "dask",
        "PARKING_DASK_ADDRESS": "tcp://prod:8786",
        "PARKING_AUTH": "true",
        "PARKING_TOKEN": "secret",
    }
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "demo")],
        env={**os.environ, **production},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *own, runner, auth = ran.stdout.splitlines()[-1].split()
    assert all(str(tmp_path / "demo") in place for place in own)
    assert (runner, auth) == ("threads", "False")
