"""POST /occupancy: which known bays are taken."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from parking.data.imagery import encode_png
from tests.doubles import write_bright_model, write_colour_model
from tests.parking.data.test_bays import box, layer
from tests.parking.detection.test_scale import street
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until

IMAGE = encode_png(street(0.15).pixels)
PLACES = ((2, 15), (5, 15), (1.7, 2.8), (300, 2))
BAYS = layer(*(box(x / 0.15, y / 0.15, 2.5 / 0.15, 5 / 0.15) for x, y in PLACES), owner="city")


def served(serve: Serve, model: Path) -> TestClient:
    client = serve(FlippingRegistry({1: model}, serving=1))
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    return client


@pytest.fixture
def client(serve: Serve, tmp_path: Path) -> TestClient:
    return served(serve, write_colour_model(tmp_path / "models" / "1.onnx"))


def ask(client: TestClient, bays: bytes | None = BAYS, **data: str) -> Any:
    files = {"file": ("street.png", IMAGE)} | ({"bays": ("bays.geojson", bays)} if bays is not None else {})
    return client.post("/occupancy", files=files, data=data)


def test_each_bay_in_the_image_is_free_or_taken_and_keeps_its_attributes(client: TestClient) -> None:
    response = ask(client, gsd="0.15")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/geo+json"
    answer = response.json()
    said = [feature["properties"] for feature in answer["features"]]
    assert [one["state"] for one in said] == ["free", "free", "occupied"]
    assert {one["owner"] for one in said} == {"city"}
    assert (answer["free"], answer["occupied"], answer["unsure"], answer["outside"]) == (2, 1, 0, 1)
    assert answer["model_version"] == "1"


def test_bays_may_be_text_of_the_form(client: TestClient) -> None:
    response = client.post("/occupancy?gsd=0.15", files={"file": ("street.png", IMAGE)}, data={"bays": BAYS.decode()})
    assert response.json()["free"] == 2


@pytest.mark.parametrize(
    ("bays", "status", "told"), [(None, 422, "bays"), (b"no json", 422, "neither GeoJSON"), (layer(), 422, "no bay")]
)
def test_what_cannot_be_used_is_a_problem_with_its_reason(
    client: TestClient, bays: bytes | None, status: int, told: str
) -> None:
    response = ask(client, bays)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert told in response.text


def test_a_body_that_is_no_form_is_refused(client: TestClient) -> None:
    response = client.post("/occupancy", content=IMAGE, headers={"Content-Type": "image/png"})
    assert response.status_code == 415


def test_a_model_that_sees_no_vehicles_says_so(serve: Serve, tmp_path: Path) -> None:
    response = ask(served(serve, write_bright_model(tmp_path / "models" / "1.onnx")))
    assert response.status_code == 409
    assert "sees no vehicles" in response.json()["detail"]
