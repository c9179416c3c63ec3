"""No request works on for nobody, or for ever."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from parking.data.imagery import encode_png
from parking.detection.detector import Detector
from parking.settings import Settings
from service.app import create_app
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.test_predict import assert_problem
from tests.service.waiting import wait_until


@pytest.fixture
def large() -> bytes:
    """An image of some hundred tiles."""
    return encode_png(np.full((1500, 1500, 3), 20, np.uint8))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A tile takes its time, as on a machine with much else to do: a large image, of 256, takes 13 s and more.

    An entry comes in for every tile.
    """
    run, done = Detector._run, list[int]()

    def slowly(self: Detector, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        time.sleep(0.05)
        done.append(len(done))
        return run(self, tiles)

    monkeypatch.setattr(Detector, "_run", slowly)
    return done


@pytest.mark.usefixtures("slow")
def test_an_image_that_takes_too_long_is_given_up(serve: Serve, models: dict[int, Path], large: bytes) -> None:
    client = serve(FlippingRegistry(models, serving=1), request_seconds=1.5)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    assert_problem(client.post("/predict", files={"file": ("a.png", large)}), 504, "1.5 s")
    assert "parking_running 0.0" in client.get("/metrics").text


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_the_fragments_of_a_model_that_has_hardly_learnt_are_answered(
    serve: Serve, models: dict[int, Path], share: float
) -> None:
    """Half of the image is free, in thousands of fragments; or most of it, with thousands of holes."""
    client = serve(FlippingRegistry(models, serving=1))
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((1000, 1000)).astype(np.float32), (0, 0), 3)
    grey = np.clip((smooth - np.quantile(smooth, 1 - share)) / smooth.std() * 40 + 128, 0, 255).astype(np.uint8)
    answer = client.post("/predict", files={"file": ("a.png", encode_png(np.repeat(grey[..., None], 3, axis=2)))})
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] > 200


def test_a_caller_that_waits_too_long_for_a_slot_is_told(
    serve: Serve, models: dict[int, Path], image: bytes, gate: threading.Event
) -> None:
    client = serve(FlippingRegistry(models, serving=1), request_seconds=0.5, slots=1)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/predict", files={"file": ("a.png", image)})
        wait_until(lambda: "parking_running 1.0" in client.get("/metrics").text)
        assert_problem(client.post("/predict", files={"file": ("a.png", image)}), 504, "0.5 s")
        gate.set()
        assert first.result().status_code == 504
    assert client.post("/predict", files={"file": ("a.png", image)}).status_code == 200


@pytest.mark.usefixtures("slow")
def test_a_caller_that_goes_away_frees_its_slot_and_its_place_in_the_queue(
    models: dict[int, Path], tmp_path: Path, large: bytes, image: bytes
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", threads=1, slots=1, queue=1)
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)

        def metrics() -> str:
            return httpx.get(f"{address}/metrics").text

        def ask_and_leave(seconds: float) -> None:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{address}/predict", files={"file": ("a.png", large)}, timeout=seconds)

        with ThreadPoolExecutor(2) as pool:
            running_one = pool.submit(ask_and_leave, 3)
            wait_until(lambda: "parking_running 1.0" in metrics())
            waiting_one = pool.submit(ask_and_leave, 1)
            wait_until(lambda: "parking_waiting 1.0" in metrics())
            waiting_one.result()
            wait_until(lambda: "parking_waiting 0.0" in metrics())
            running_one.result()
            wait_until(lambda: "parking_running 0.0" in metrics(), seconds=4)
        answer = httpx.post(f"{address}/predict", files={"file": ("a.png", image)}, timeout=10)
        assert answer.status_code == 200
        wait_until(lambda: metrics().count('status="499"') > 0)


def test_a_process_that_stops_waits_no_longer_than_its_grace(
    models: dict[int, Path], tmp_path: Path, large: bytes, slow: list[int]
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", threads=1)
    with ThreadPoolExecutor(1) as pool:
        with running(create_app(settings, FlippingRegistry(models, serving=1)), grace=1) as address:
            wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
            answer = pool.submit(httpx.post, f"{address}/predict", files={"file": ("a.png", large)}, timeout=60)
            wait_until(lambda: len(slow) > 5)
        # The service has stopped, and the thread that worked for the request with it.
        assert len(slow) < 200
        told = answer.result()
        assert_problem(told, 503, "The service is stopping")
        assert told.headers["Retry-After"] == "1"


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=X"])
def test_an_upload_that_stands_still_is_told_by_the_deadline(
    models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Nothing more comes of this body: an early answer need not wait for it.
    monkeypatch.setattr("service.limits._REST_SECONDS", 0.1)
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", threads=1, request_seconds=1)
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        with closing(HTTPConnection(address.removeprefix("http://"), timeout=30)) as caller:
            caller.putrequest("POST", "/predict")
            caller.putheader("Content-Type", kind)
            caller.putheader("Content-Length", "100000")
            caller.endheaders(b"--X")
            answer = caller.getresponse()
            told = json.loads(answer.read())
        assert (answer.status, told["status"]) == (504, 504)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "no answer after 1 s" in told["detail"]
