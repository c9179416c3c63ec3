"""Under load: versions change and nobody notices; health answers all the while."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from parking.settings import Settings
from service.app import create_app
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.waiting import wait_until

pytestmark = pytest.mark.e2e

CLIENTS = 8


@pytest.fixture
def registry(models: dict[int, Path]) -> FlippingRegistry:
    return FlippingRegistry(models, serving=1)


@pytest.fixture
def address(tmp_path: Path, registry: FlippingRegistry) -> Iterator[str]:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", reload_seconds=0.05, threads=1, queue=CLIENTS)
    with running(create_app(settings, registry)) as address:
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        yield address


@pytest.fixture
def load(address: str, image: bytes) -> Iterator[list[httpx.Response]]:
    """Answers to callers that ask without a break, until the test ends."""
    answers: list[httpx.Response] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            while not enough.is_set():
                answers.append(client.post("/predict", files={"file": ("a.png", image)}))

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            yield answers
        finally:
            enough.set()
        for one in asking:
            one.result()
    assert {answer.status_code for answer in answers} == {200}


def test_swap_under_load_loses_no_request(load: list[httpx.Response], registry: FlippingRegistry, address: str) -> None:
    for number in (2, 1, 2, 1, 2):
        registry.serving = number
        before = len(load)
        wait_until(lambda number=number: httpx.get(f"{address}/model").json()["version"] == str(number))  # type: ignore[misc]
        wait_until(lambda before=before: len(load) > before + 2 * CLIENTS)  # type: ignore[misc]
    # The bright bay is one place to version 1, and to version 2 the dark ground is many: none mixes the two.
    counts = {(answer.json()["model_version"], answer.json()["count"]) for answer in load}
    assert len(counts) == 2


def test_health_and_metrics_answer_fast_while_every_slot_is_busy(load: list[httpx.Response], address: str) -> None:
    wait_until(lambda: len(load) > CLIENTS)
    seconds: list[float] = []
    with httpx.Client(base_url=address) as client:
        for path in ("/health/live", "/health/ready", "/metrics") * 20:
            started = time.perf_counter()
            assert client.get(path).status_code == 200
            seconds.append(time.perf_counter() - started)
    # The clients share the process and its lock with the service here; `tests/bench/service.py` measures it alone.
    assert statistics.median(seconds) < 0.1
