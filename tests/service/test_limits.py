"""More work than the machine has room for is refused at once; health answers all the while."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until


def test_beyond_slots_and_queue_it_is_503_with_retry_after(
    serve: Serve, models: dict[int, Path], image: bytes, gate: threading.Event
) -> None:
    client = serve(FlippingRegistry(models, serving=1), slots=1, queue=1)
    wait_until(lambda: client.get("/health/ready").status_code == 200)

    def ask(_: int) -> Any:
        return client.post("/predict", files={"file": ("a.png", image)})

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, 0)
        wait_until(lambda: "parking_running 1.0" in client.get("/metrics").text)
        second = pool.submit(ask, 1)
        wait_until(lambda: "parking_waiting 1.0" in client.get("/metrics").text)
        refused = ask(2)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "queue is full" in refused.json()["detail"]
        gate.set()
        assert first.result().status_code == second.result().status_code == 200
    assert "parking_shed_total 1.0" in client.get("/metrics").text
    assert ask(3).status_code == 200


def test_health_answers_while_every_slot_is_busy(
    serve: Serve, models: dict[int, Path], image: bytes, gate: threading.Event
) -> None:
    client = serve(FlippingRegistry(models, serving=1), slots=1)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(lambda: client.post("/predict", files={"file": ("a.png", image)}))
        wait_until(lambda: "parking_running 1.0" in client.get("/metrics").text)
        started = time.monotonic()
        assert client.get("/health/live").status_code == 200
        assert time.monotonic() - started < 1
        assert not busy.done()
        gate.set()
        assert busy.result().status_code == 200
