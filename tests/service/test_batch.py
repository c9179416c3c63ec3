"""Several images at once; none is answered for by another."""

import datetime as dt
import gc
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from monitoring.schema import read_rows
from parking.data.imagery import Raster, read_raster
from parking.detection.detection import Detection
from parking.detection.detector import Detector
from parking.storage import open_store
from service.batch import BatchAnswer
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.test_predict import assert_problem
from tests.service.waiting import wait_until


@pytest.fixture
def client(serve: Serve, models: dict[int, Path]) -> TestClient:
    client = serve(FlippingRegistry(models, serving=1))
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    return client


def test_one_that_fails_leaves_the_others_their_answers(client: TestClient, image: bytes, tmp_path: Path) -> None:
    files = [("file", ("a.png", image)), ("file", ('"b".png', b"no image")), ("file", ("c.png", image))]
    answer = client.post("/predict/batch", files=files, headers={"X-Request-ID": "many"})
    assert answer.status_code == 200
    first, second, third = BatchAnswer.model_validate(answer.json()).results
    assert [first.name, third.name] == ["a.png", "c.png"]
    assert first.answer is not None
    assert third.answer is not None
    assert first.answer.count == third.answer.count == 1
    assert third.answer.request_id == "many-3"
    assert first.problem is None
    assert second.answer is None
    assert second.problem is not None
    assert second.problem.status == 422
    store = open_store(str(tmp_path / "state" / "store"))
    today = dt.datetime.now(dt.UTC).date()
    wait_until(lambda: read_rows(store, today).table.num_rows == 2)
    assert sorted(read_rows(store, today).table["request_id"].to_pylist()) == ["many-1", "many-3"]


def test_one_that_fails_as_nobody_expected_leaves_the_others_their_answers(
    client: TestClient, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_or_fail(data: bytes, *, name: str, **more: Any) -> Raster:
        if name == "b.png":
            raise RuntimeError("secret")
        return read_raster(data, name=name, **more)

    monkeypatch.setattr("service.predictor.read_raster", read_or_fail)
    answer = client.post("/predict/batch", files=[("file", (f"{name}.png", image)) for name in "abc"])
    assert answer.status_code == 200
    assert "secret" not in answer.text
    first, second, third = BatchAnswer.model_validate(answer.json()).results
    assert first.answer is not None
    assert third.answer is not None
    assert second.problem is not None
    assert (second.problem.status, second.problem.request_id) == (500, f"{answer.headers['X-Request-ID']}-2")


def test_no_image_of_a_batch_is_held_when_the_next_is_looked_at(
    client: TestClient, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps: list[weakref.ref[NDArray[np.float32]]] = []
    held: list[int] = []
    detect = Detector.detect

    def still_there() -> int:
        if any(one() is not None for one in maps):
            gc.collect()
        return sum(one() is not None for one in maps)

    def watched(self: Detector, *args: Any, **options: Any) -> Detection:
        # The thread that found the last one's places may not have left its function yet.
        with suppress(AssertionError):
            wait_until(lambda: not still_there(), seconds=2)
        held.append(still_there())
        found = detect(self, *args, **options)
        maps.append(weakref.ref(found.probability))
        return found

    monkeypatch.setattr(Detector, "detect", watched)
    assert client.post("/predict/batch", files=[("file", ("a.png", image))] * 5).status_code == 200
    assert held == [0] * 5


def test_parameters_hold_for_all(client: TestClient, image: bytes) -> None:
    answer = client.post("/predict/batch?min_area=50", files=[("file", ("a.png", image))] * 2)
    assert [result["answer"]["count"] for result in answer.json()["results"]] == [0, 0]


def test_too_many_are_refused(client: TestClient, image: bytes) -> None:
    assert_problem(client.post("/predict/batch", files=[("file", ("a.png", image))] * 17), 400, "16")


def test_none_or_another_type_is_a_problem(client: TestClient, image: bytes) -> None:
    assert_problem(client.post("/predict/batch", files={"other": ("a.png", image)}), 422, "file")
    assert_problem(client.post("/predict/batch", content=image, headers={"Content-Type": "image/png"}), 415, "batch")
