"""What a caller may ask for, and in which form an image may come."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from monitoring.drift import IMAGE_COLUMNS
from monitoring.schema import read_rows
from parking.data.imagery import encode_png
from parking.storage import open_store
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.test_predict import assert_problem
from tests.service.waiting import wait_until


@pytest.fixture
def client(serve: Serve, models: dict[int, Path]) -> TestClient:
    client = serve(FlippingRegistry(models, serving=1), max_megapixels=1)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    return client


@pytest.fixture
def two_bays() -> bytes:
    """A bright bay, of probability 1, and a smaller grey one, of probability 0.8."""
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 20:37] = 255
    pixels[40:60, 100:117] = 150
    return encode_png(pixels)


def ask(client: TestClient, data: bytes, **query: Any) -> dict[str, Any]:
    answer = client.post("/predict", params=query, content=data, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_image_may_be_the_body_itself(client: TestClient, two_bays: bytes) -> None:
    raw = ask(client, two_bays)
    form = client.post("/predict", files={"file": ("a.png", two_bays)}).json()
    assert raw["spots"] == form["spots"]
    assert raw["count"] == 2
    assert raw["threshold"] == 0.5


def test_a_larger_threshold_gives_fewer_places(client: TestClient, two_bays: bytes) -> None:
    body = ask(client, two_bays, threshold=0.9)
    assert (body["count"], body["threshold"]) == (1, 0.9)


def test_a_larger_least_area_gives_fewer_places(client: TestClient, two_bays: bytes) -> None:
    assert ask(client, two_bays, min_area=10)["count"] == 1
    assert ask(client, two_bays, min_area=7)["count"] == 2


def test_the_caller_may_know_the_gsd(client: TestClient, two_bays: bytes) -> None:
    body = ask(client, two_bays, gsd=0.3, threshold=0.9)
    assert body["gsd"] == {"value": 0.3, "source": "caller", "spread": None}
    # 5.1 x 9.9 m: four bays of 2.5 x 5 m.
    assert sum(spot["area_m2"] for spot in body["spots"]) == pytest.approx(17 * 33 * 0.3**2, rel=0.05)
    assert body["count"] == 4


def test_who_gave_the_gsd_is_said_in_every_form(client: TestClient, two_bays: bytes) -> None:
    headers = {"Content-Type": "image/png", "Accept": "application/geo+json"}
    answer = client.post("/predict?gsd=0.2", content=two_bays, headers=headers)
    assert answer.json()["gsd"] == {"value": 0.2, "source": "caller", "spread": None}


def test_what_is_logged_of_an_image_is_what_the_network_saw(client: TestClient, tmp_path: Path) -> None:
    ground = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    fine = ground.repeat(3, axis=0).repeat(3, axis=1)
    ask(client, encode_png(ground))
    ask(client, encode_png(fine), gsd=0.15 / 3)
    store, today = open_store(str(tmp_path / "state" / "store")), dt.datetime.now(dt.UTC).date()
    wait_until(lambda: read_rows(store, today).table.num_rows == 2)
    coarse, scaled = read_rows(store, today).table.to_pylist()
    assert scaled["gsd_source"] == "caller"
    for name in IMAGE_COLUMNS:
        assert scaled[name] == pytest.approx(coarse[name], rel=0.02), name


def test_flips_and_turns_change_nothing_for_a_model_that_has_no_direction(client: TestClient, two_bays: bytes) -> None:
    assert ask(client, two_bays, tta=True)["spots"] == ask(client, two_bays)["spots"]


def test_a_coarse_image_that_would_grow_beyond_the_limit_is_413(client: TestClient, two_bays: bytes) -> None:
    answer = client.post("/predict?gsd=4", content=two_bays, headers={"Content-Type": "image/png"})
    assert_problem(answer, 413, "4 m a pixel")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("threshold=0", "threshold"),
        ("threshold=1.5", "threshold"),
        ("threshold=nan", "threshold"),
        ("min_area=-1", "min_area"),
        ("gsd=1e-9", "gsd"),
        ("tta=perhaps", "tta"),
        ("treshold=0.5", "treshold"),
    ],
)
def test_a_wish_that_cannot_be_is_named(client: TestClient, two_bays: bytes, query: str, words: str) -> None:
    answer = client.post(f"/predict?{query}", content=two_bays, headers={"Content-Type": "image/png"})
    assert_problem(answer, 422, words)


def test_a_body_of_another_type_is_415(client: TestClient) -> None:
    answer = client.post("/predict", content=b"{}", headers={"Content-Type": "application/json"})
    assert_problem(answer, 415, "application/json")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=b"])
def test_a_form_that_cannot_be_read_is_400(client: TestClient, kind: str) -> None:
    answer = client.post("/predict", content=b"not a form", headers={"Content-Type": kind})
    assert_problem(answer, 400, "form")


def test_two_images_in_one_question_are_refused(client: TestClient, two_bays: bytes) -> None:
    files = [("file", ("a.png", two_bays)), ("file", ("b.png", two_bays))]
    assert_problem(client.post("/predict", files=files), 400, "Too many files")


def test_a_preview_is_a_png_of_moderate_size(client: TestClient) -> None:
    wide = encode_png(np.full((100, 4096, 3), 90, np.uint8))
    answer = client.post("/preview", content=wide, headers={"Content-Type": "image/png"})
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content[16:24] == (2048).to_bytes(4) + (50).to_bytes(4)
