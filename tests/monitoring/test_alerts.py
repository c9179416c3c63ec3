"""Alert rules and dashboard, by Prometheus' own tools and against a Prometheus that scraped the service."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.history import write_summary
from monitoring.performance import Performance
from parking.data.imagery import encode_png
from parking.data.synthetic import generate_scene
from parking.settings import Settings
from parking.storage import open_store
from service.app import create_app
from tests.doubles import write_bright_model
from tests.e2e.waiting import wait_until
from tests.servers import free_ports
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.test_drift_history import summary

FILES = Path(__file__).parents[2] / "helm" / "files"

promtool = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="there is no promtool: install Debian's prometheus",
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rules and their tests side by side, as promtool wants them."""
    folder = tmp_path_factory.mktemp("rules")
    shutil.copy(FILES / "alerts.yaml", folder)
    for tests in Path(__file__).parent.glob("*.test.yaml"):
        shutil.copy(tests, folder)
    return folder


def checked(*command: str, cwd: Path) -> str:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@promtool
def test_the_alert_rules_are_sound(rules: Path) -> None:
    assert "13 rules found" in checked("check", "rules", "alerts.yaml", cwd=rules)


@pytest.mark.e2e
@promtool
@pytest.mark.parametrize("tests", ["alerts.test.yaml", "alerts-in-time.test.yaml"])
def test_every_alert_fires_on_what_it_is_for_and_not_before(rules: Path, tests: str) -> None:
    checked("test", "rules", tests, cwd=rules)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes a service which has answered, and has a drift report."""
    folder = tmp_path_factory.mktemp("prometheus")
    settings = Settings(_env_file=None, state_dir=folder / "state")
    app = create_app(settings, FlippingRegistry({1: write_bright_model(folder / "1.onnx")}, serving=1))
    said = Performance(corrected=12, right=5, iou=0.5, f1=0.625, count_error=1.5)
    write_summary(open_store(settings.store_url), summary(1, "warning", 0.3, performance=said))
    (port,) = free_ports(1)
    with running(app) as service:
        wait_until(lambda: httpx.get(f"{service}/health/ready").status_code == 200, 30, "a model")
        scrape = {"job_name": "parking", "scrape_interval": "1s", "static_configs": [{"targets": [service[7:]]}]}
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            use(service, address)
            yield address
        finally:
            process.terminate()
            process.wait(20)


def use(service: str, prometheus: str) -> None:
    """Ask and correct, between two scrapes and more, so that every rate has something to rise from."""
    image = encode_png(generate_scene(1, 128).raster.pixels)

    def ask() -> None:
        answer = httpx.post(f"{service}/predict", files={"file": ("a.png", image)}, timeout=30).json()
        httpx.post(f"{service}/feedback", json={"request_id": answer["request_id"], "right": True}, timeout=30)

    ask()
    scraped = 'parking_feedback_total{verdict="right"}'
    wait_until(lambda: query(prometheus, scraped), 30, "the first scrape")
    ask()
    wait_until(lambda: query(prometheus, f"{scraped} == 2"), 30, "the second")


def query(prometheus: str, expression: str) -> list[Any]:
    try:
        answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}, timeout=10)
    except httpx.TransportError:
        return []
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]["result"]
    return found


def expressions() -> list[tuple[str, str]]:
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


@pytest.mark.e2e
@promtool
@pytest.mark.parametrize(("panel", "expression"), expressions())
def test_every_panel_of_the_dashboard_has_something_to_show(prometheus: str, panel: str, expression: str) -> None:
    assert query(prometheus, expression), f"{panel}: nothing for {expression}"
