"""More work than the machine has room for is refused at once; health answers all the while."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parking.data.imagery import encode_png
from parking.settings import Settings
from service.app import create_app
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
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


def test_large_images_run_one_at_a_time_beside_smaller_ones(
    serve: Serve, models: dict[int, Path], image: bytes, gate: threading.Event
) -> None:
    """Two of 64 megapixels took 2.85 GB together, and both slots for a minute."""
    client = serve(FlippingRegistry(models, serving=1), slots=2, queue=4, max_megapixels=0.05)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    small = encode_png(np.full((50, 60, 3), 20, np.uint8))

    def ask(one: bytes) -> int:
        return client.post("/predict", files={"file": ("a.png", one)}).status_code

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, image)
        wait_until(lambda: "parking_running 1.0" in client.get("/metrics").text)
        second = pool.submit(ask, image)
        wait_until(lambda: "parking_waiting 1.0" in client.get("/metrics").text)
        third = pool.submit(ask, small)
        wait_until(lambda: "parking_running 2.0" in client.get("/metrics").text)
        assert "parking_waiting 1.0" in client.get("/metrics").text
        gate.set()
        assert [one.result() for one in (first, second, third)] == [200] * 3
    assert ask(image) == 200


def test_uploads_that_never_end_cannot_fill_the_memory(models: dict[int, Path], tmp_path: Path, image: bytes) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", threads=1, slots=1, queue=0, max_upload_mb=1)
    headers = {"Content-Type": "image/png", "Content-Length": str(800_000)}
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        host = address.removeprefix("http://")
        with closing(HTTPConnection(host)) as slow, closing(HTTPConnection(host)) as other:
            slow.request("POST", "/predict", body=iter([image + bytes(700_000)]), headers=headers)
            # Had the others' bytes come first, it would be this one that is sent away.
            wait_until(lambda: held(other) > 700_000)

            def asked() -> tuple[int, str | None]:
                other.request("POST", "/predict", body=image + bytes(500_000), headers={"Content-Type": "image/png"})
                answer = other.getresponse()
                answer.read()
                return answer.status, answer.getheader("Retry-After")

            wait_until(lambda: asked() == (503, "1"))
            other.request("GET", "/metrics")
            assert b"parking_shed_total 0.0" not in other.getresponse().read()
            slow.close()
            wait_until(lambda: asked()[0] == 200)
            wait_until(lambda: held(other) == 0)


def held(connection: HTTPConnection) -> float:
    """Bytes of the uploads under way, as the service tells Prometheus."""
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return float(next(line for line in lines if line.startswith("parking_upload_bytes ")).split()[1])


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


@pytest.fixture
def guarded(models: dict[int, Path], tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a service that takes 1 MiB, and only from those who know its token."""
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", max_upload_mb=1, auth=True, token="secret")
    with running(create_app(settings, FlippingRegistry(models, serving=1)), grace=5) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        yield host, int(port)


@pytest.mark.parametrize(("size", "token", "status"), [(2**20 + 4, "secret", 413), (2**19, "wrong", 401)])
def test_an_early_answer_waits_for_the_rest_of_the_body(
    guarded: tuple[str, int], size: int, token: str, status: int
) -> None:
    with closing(HTTPConnection(*guarded, timeout=20)) as connection:
        begin(connection, size, token)
        for _ in range(4):
            time.sleep(0.1)
            connection.send(bytes(size // 4))
        answer = connection.getresponse()
        assert answer.status == status
        assert answer.read()


def test_nobody_is_waited_for_who_sends_far_too_much_or_nothing(
    guarded: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(HTTPConnection(*guarded, timeout=5)) as connection:
        begin(connection, 100 * 2**20, "secret")
        assert connection.getresponse().status == 413
    monkeypatch.setattr("service.limits._REST_SECONDS", 0.2)
    with closing(HTTPConnection(*guarded, timeout=5)) as connection:
        begin(connection, 2**20 + 1, "secret")
        assert connection.getresponse().status == 413


def begin(connection: HTTPConnection, size: int, token: str) -> None:
    """A request up to its body, after whose answer the server closes the connection, as a proxy asks it to."""
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(size))
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Connection", "close")
    connection.endheaders()
