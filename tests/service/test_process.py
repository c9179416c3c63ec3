"""The real process: uvicorn, MLflow on SQLite, signals."""

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from monitoring.schema import read_rows
from parking.data.imagery import encode_png
from parking.registry import Registry
from parking.settings import Settings
from parking.storage import open_store
from parking.tracking import Tracker
from tests.doubles import write_bright_model, write_inverted_model
from tests.servers import free_ports
from tests.service.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state")


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> Registry:
    """Two registered versions, the first in production."""
    settings.state_dir.mkdir()
    registry = Registry(settings.tracking_uri, settings.model_name)
    with Tracker(settings.tracking_uri, settings.model_name, settings.artifact_dir).run("train") as run:
        for file in (write_bright_model(tmp_path / "1.onnx"), write_inverted_model(tmp_path / "2.onnx")):
            registry.register(file, run_id=run.id, tags={})
    registry.promote(1, reason="the first", by="test")
    return registry


@pytest.fixture
def address(settings: Settings, registry: Registry) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    (port,) = free_ports(1)
    environment = {**os.environ, "PARKING_STATE_DIR": str(settings.state_dir)}
    # Rows are written when the service stops, and not before.
    code = f"from service import app, state; state.FLUSH_SECONDS = 3600; app.main('127.0.0.1', {port})"
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def status_of(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0


def test_sigterm_finishes_requests(
    address: tuple[str, "subprocess.Popen[bytes]"], registry: Registry, settings: Settings
) -> None:
    url, process = address
    wait_until(lambda: status_of(f"{url}/health/ready") == 200, seconds=90)
    registry.promote(2, reason="to see it reload", by="test")
    wait_until(lambda: httpx.get(f"{url}/health").json()["model_version"] == "2", seconds=30)

    # Bright everywhere: much to look at, and nothing that version 2 finds.
    pixels = np.full((5000, 5000, 3), 255, np.uint8)
    with ThreadPoolExecutor(1) as pool:
        files = {"file": ("large.png", encode_png(pixels))}
        answer = pool.submit(httpx.post, f"{url}/predict", files=files, timeout=60)
        wait_until(lambda: answer.done() or "parking_running 1.0" in httpx.get(f"{url}/metrics").text)
        in_flight = not answer.done()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: status_of(f"{url}/health/ready") != 200)
        still_running = not answer.done()
        assert answer.result().status_code == 200
    assert in_flight, "the request was over before the signal: make the image larger"
    assert still_running, "the request was over before the service said that it stops: make the image larger"
    assert process.wait(timeout=30) == 0
    rows = read_rows(open_store(settings.store_url), dt.datetime.now(dt.UTC).date()).table
    assert rows["model_version"].to_pylist() == ["2"]
