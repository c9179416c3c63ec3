"""A caller corrects an answer by its id."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from parking.data.imagery import encode_png
from parking.storage import FolderStore
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until


def started(serve: Serve, models: dict[int, Path], **settings: Any) -> TestClient:
    client = serve(FlippingRegistry(models, serving=1), **settings)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    return client


@pytest.fixture
def client(serve: Serve, models: dict[int, Path]) -> TestClient:
    return started(serve, models)


def asked(client: TestClient, image: bytes) -> str:
    answer_id: str = client.post("/predict", files={"file": ("a.png", image)}).json()["answer_id"]
    return answer_id


def test_an_answer_is_corrected_at_once_and_scored(client: TestClient, image: bytes) -> None:
    missed = [[100, 40], [117, 40], [117, 73], [100, 73]]
    answer = client.post("/feedback", json={"answer_id": asked(client, image), "added": [missed], "by": "Ada"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["iou"] == pytest.approx(0.5, abs=0.02)
    assert body["f1"] == pytest.approx(2 / 3, abs=1e-3)
    assert body["count_error"] == -1
    assert body["teaches"] is False
    assert 'parking_feedback_total{verdict="corrected"} 1.0' in client.get("/metrics").text


def test_an_image_is_kept_only_where_the_settings_allow_it(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    client = started(serve, models, store=str(tmp_path / "store"), keep_images=True)
    answer = client.post("/feedback", json={"answer_id": asked(client, image), "right": True})
    assert answer.json()["teaches"] is True
    (scene,) = (key for key in FolderStore(tmp_path / "store").keys("feedback/scenes/") if key.endswith(".png"))
    assert FolderStore(tmp_path / "store").read(scene) == image


def test_by_default_nothing_of_an_image_is_kept(client: TestClient, image: bytes, tmp_path: Path) -> None:
    client.post("/feedback", json={"answer_id": asked(client, image), "right": True})
    assert [path for path in (tmp_path / "state" / "store").rglob("*") if path.suffix == ".png"] == []


def test_each_image_of_a_batch_can_be_corrected(client: TestClient, image: bytes) -> None:
    files = [("file", ("a.png", image)), ("file", ("b.png", image))]
    results = client.post("/predict/batch", files=files).json()["results"]
    for result in results:
        said = {"request_id": result["answer"]["request_id"], "removed": [0]}
        assert client.post("/feedback", json=said).json()["count_error"] == 1


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        ({"request_id": "never", "right": True}, 404, "never given"),
        ({"request_id": "../../etc", "right": True}, 422, "request_id"),
        ({"answer_id": "../../etc", "right": True}, 422, "answer_id"),
        ({"answer_id": "20260501-00000000-0000000000000000", "right": True}, 404, "never given"),
        ({"right": True}, 422, "name the answer"),
        ({"answer_id": "ID", "removed": [9]}, 422, "Place 9 cannot be removed"),
        ({"answer_id": "ID", "added": [[[900, 900], [910, 900], [910, 920]]]}, 422, "no area inside the image"),
        ({"answer_id": "ID", "added": [[[1, 1], [2, 2]]]}, 422, "added"),
        (
            {"answer_id": "ID", "added": [[[0, 0], [9, 9], [9, 0], [0, 9]]]},
            422,
            "polygon 0 cannot be used: the outline crosses or touches itself",
        ),
        ({"answer_id": "ID", "added": [[[0, 0], [1e308, 1e200], [9, 0]]]}, 422, "added"),
        ({"answer_id": "ID", "price": 3}, 422, "price"),
    ],
)
def test_what_cannot_be_a_correction_is_refused_with_a_sentence(
    client: TestClient, image: bytes, said: dict[str, Any], status: int, told: str
) -> None:
    if said.get("answer_id") == "ID":
        said = {**said, "answer_id": asked(client, image)}
    answer = client.post("/feedback", json=said)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


def test_a_service_that_keeps_no_answers_says_so(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    client = started(serve, models, feedback_days=0)
    answer = client.post("/feedback", json={"answer_id": asked(client, image), "right": True})
    assert answer.status_code == 404
    assert "PARKING_FEEDBACK_DAYS is 0" in answer.json()["detail"]


def test_corrections_want_the_token_where_images_do(serve: Serve, models: dict[int, Path]) -> None:
    client = serve(FlippingRegistry(models, serving=1), auth=True, token="secret")
    assert client.post("/feedback", json={"request_id": "a", "right": True}).status_code == 401


def test_two_uploads_under_one_name_are_corrected_each_by_its_own_id(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    client = started(serve, models, store=str(tmp_path / "store"), keep_images=True)
    dark = encode_png(np.full((60, 80, 3), 20, np.uint8))
    named = {"X-Request-ID": "case-1"}
    first, second = (client.post("/predict", files={"file": ("a.png", one)}, headers=named) for one in (image, dark))
    assert first.json()["request_id"] == second.json()["request_id"] == "case-1"
    ids = [answer.headers["X-Answer-ID"] for answer in (first, second)]
    refused = client.post("/feedback", json={"request_id": "case-1", "removed": [0]})
    assert refused.status_code == 409
    assert all(one in refused.json()["detail"] for one in ids)
    said = client.post("/feedback", json={"answer_id": ids[0], "removed": [0]})
    assert said.json()["count_error"] == 1
    (scene,) = (key for key in FolderStore(tmp_path / "store").keys("feedback/scenes/") if key.endswith(".png"))
    assert FolderStore(tmp_path / "store").read(scene) == image


@pytest.mark.parametrize("form", ["application/geo+json", "image/png"])
def test_every_form_of_an_answer_says_its_id(client: TestClient, image: bytes, form: str) -> None:
    answer = client.post("/predict", files={"file": ("a.png", image)}, headers={"Accept": form})
    said = {"answer_id": answer.headers["X-Answer-ID"], "right": True}
    assert client.post("/feedback", json=said).status_code == 200


def test_a_store_that_is_down_costs_no_answer_and_corrections_can_be_sent_when_it_is_back(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    client = started(serve, models, store=str(tmp_path / "file"), keep_images=True)
    said = {"answer_id": asked(client, image), "right": True}
    refused = client.post("/feedback", json=said)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    (tmp_path / "file").unlink()
    assert client.post("/feedback", json=said).json()["teaches"] is True
    assert "parking_answers_lost_total 0.0" in client.get("/metrics").text


def test_answers_kept_during_an_outage_are_corrected_in_the_next_process(
    client_of: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    registry = FlippingRegistry(models, serving=1)
    with client_of(registry, store=str(tmp_path / "file")) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        said = {"answer_id": asked(client, image), "right": True}
    (tmp_path / "file").unlink()
    with client_of(registry, store=str(tmp_path / "file")) as client:
        assert client.post("/feedback", json=said).status_code == 200


def test_a_store_that_hangs_holds_up_nobody(
    serve: Serve, models: dict[int, Path], image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    client = started(serve, models, request_seconds=0.3)
    said = {"answer_id": asked(client, image), "right": True}
    monkeypatch.setattr("service.feedback.take_correction", lambda *_, **__: release.wait(20))
    refused = client.post("/feedback", json=said)
    assert refused.status_code == 504
    assert "Send it again later" in refused.json()["detail"]
    assert asked(client, image)
    release.set()


def test_a_correction_has_a_limit_of_its_own(client: TestClient, image: bytes) -> None:
    """To read 20 MB of corners takes seconds, in which nobody else is answered."""
    outline = [[float(corner), float(corner % 7)] for corner in range(500)]
    said = {"answer_id": asked(client, image), "added": [outline] * 200}
    refused = client.post("/feedback", json=said)
    assert refused.status_code == 413
    assert "larger than 1 MiB" in refused.json()["detail"]


def test_no_page_of_another_site_can_correct_by_a_plain_form(client: TestClient, image: bytes) -> None:
    said = json.dumps({"answer_id": asked(client, image), "right": True})
    refused = client.post("/feedback", content=said, headers={"Content-Type": "text/plain"})
    assert refused.status_code == 415
