"""What a caller gets for an image, and for what is none."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loguru import logger
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from parking.data.imagery import encode_png
from service.responses import PredictionAnswer, choose_form
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until


@pytest.fixture
def client(serve: Serve, models: dict[int, Path]) -> TestClient:
    client = serve(FlippingRegistry(models, serving=1), max_upload_mb=1, max_megapixels=1)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    return client


def test_the_json_answer_says_what_where_and_by_whom(client: TestClient, image: bytes) -> None:
    answer = client.post("/predict", files={"file": ("a.png", image)}, headers={"X-Request-ID": "abc-1"})
    body = answer.json()
    assert answer.headers["X-Request-ID"] == body["request_id"] == "abc-1"
    assert body["model_version"] == "1"
    assert body["count"] == len(body["spots"]) == 1
    low, high = body["count_interval"]
    assert low <= 1 <= high
    assert body["gsd"] == {"value": 0.15, "source": "assumed"}
    assert body["imagery_date"] == "unknown"
    assert (body["width"], body["height"]) == (160, 120)
    assert body["elapsed_ms"] > 0
    (spot,) = body["spots"]
    assert spot["area_m2"] == pytest.approx(17 * 33 * 0.15**2, rel=0.02)
    assert spot["confidence"] > 0.99
    xs, ys = zip(*spot["polygon"], strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == pytest.approx((60, 77, 40, 73), abs=1)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/json;q=0, */*", "application/geo+json"),
        ("application/*;q=0, */*;q=0.1", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("application/*;q=0, application/geo+json", "application/geo+json"),
        ("image/*;q=0.5, application/json;q=0.4", "image/png"),
        ("application/json; charset=utf-8", "application/json"),
        (",,application/geo+json,", "application/geo+json"),
        ("image/png;q=0", ""),
        ("*/*;q=0", ""),
        ("garbage", ""),
    ],
)
def test_the_form_is_the_one_that_the_caller_ranks_highest_and_never_one_that_it_excludes(
    accept: str, form: str
) -> None:
    if form:
        assert choose_form(accept) == form
    else:
        with pytest.raises(HTTPException) as refused:
            choose_form(accept)
        assert refused.value.status_code == 406


def test_geojson_and_picture_by_accept(client: TestClient, image: bytes) -> None:
    geojson = client.post("/predict", files={"file": ("a.png", image)}, headers={"Accept": "application/geo+json"})
    assert geojson.headers["Content-Type"] == "application/geo+json"
    assert json.loads(geojson.content)["type"] == "FeatureCollection"
    accept = "text/html, image/*;q=0.8, application/json;q=0.1"
    picture = client.post("/predict", files={"file": ("a.png", image)}, headers={"Accept": accept})
    assert picture.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).size == (160, 120)


JSON, GEOJSON, PNG = "application/json", "application/geo+json", "image/png"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("image/*, image/png;q=0", None),
        ("application/json;q=0, */*", GEOJSON),
        ("application/*;q=0, */*;q=0.1", PNG),
        ("*/*;q=0", None),
        ("application/json;q=0", None),
        ("application/json; charset=utf-8", JSON),
        ("application/geo+json;q=0.9, application/json;q=0.8", GEOJSON),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, image/webp, */*;q=0.8", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
        ("text/html", None),
    ],
)
def test_the_form_is_the_one_that_accept_likes_best(accept: str | None, form: str | None) -> None:
    if form is None:
        with pytest.raises(HTTPException, match="Ask for one of"):
            choose_form(accept)
    else:
        assert choose_form(accept) == form


def test_a_form_that_we_do_not_have_is_406(client: TestClient, image: bytes) -> None:
    answer = client.post("/predict", files={"file": ("a.png", image)}, headers={"Accept": "text/html"})
    assert answer.status_code == 406


def assert_problem(answer: object, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "application/problem+json"  # type: ignore[attr-defined]
    body = answer.json()  # type: ignore[attr-defined]
    assert body["status"] == status
    assert words in body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]  # type: ignore[attr-defined]


def test_a_text_file_is_a_problem_that_says_so(client: TestClient) -> None:
    assert_problem(client.post("/predict", files={"file": ("x.png", b"hello")}), 422, "x.png")


def test_a_truncated_image_is_a_problem(client: TestClient, image: bytes) -> None:
    assert_problem(client.post("/predict", files={"file": ("x.png", image[: len(image) // 2])}), 422, "x.png")


def test_a_request_without_a_file_is_a_problem(client: TestClient) -> None:
    assert_problem(client.post("/predict"), 422, "file")


def test_an_image_with_too_many_pixels_is_413(client: TestClient) -> None:
    large = encode_png(np.zeros((1100, 1000, 3), np.uint8))
    assert_problem(client.post("/predict", files={"file": ("x.png", large)}), 413, "megapixels")


def test_a_body_that_is_too_large_is_413_whether_it_says_so_or_not(client: TestClient) -> None:
    big = b"x" * (2 * 2**20)
    assert_problem(client.post("/predict", files={"file": ("x.png", big)}), 413, "1 MiB")

    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
        yield from (b"x" * 2**16 for _ in range(32))
        yield b"\r\n--b--\r\n"

    header = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_problem(client.post("/predict", content=chunks(), headers=header), 413, "1 MiB")


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    assert_problem(client.get("/nowhere"), 404, "Not Found")


def test_a_failure_of_ours_is_a_500_without_its_insides(client: TestClient, image: bytes) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    client.app.state.service.predictor.predict = broken  # type: ignore[attr-defined]
    answer = client.post("/predict", files={"file": ("a.png", image)})
    assert_problem(answer, 500, "request id")
    assert "secret" not in answer.text


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client: TestClient) -> None:
    answer = client.get("/health", headers={"X-Request-ID": "a b{c}"})
    assert answer.headers["X-Request-ID"] != "a b{c}"


@pytest.mark.parametrize("given", [".hidden", "-rf", "", "x" * 129])
def test_a_request_id_that_is_no_sound_name_of_a_file_is_replaced(client: TestClient, given: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] != given


def test_a_path_cannot_forge_a_log_line(client: TestClient) -> None:
    lines: list[str] = []
    # The service's own lines alone: those of the asking client may be gathered in the same log.
    sink = logger.add(lines.append, format="{message}", filter="service.middleware")
    client.get("/f0rged%0A2026-01-01%20all%20is%20well")
    logger.remove(sink)
    (line,) = [line for line in lines if "f0rged" in line]
    assert line.count("\n") == 1


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/health/ready", "/metrics"])
def test_a_probe_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_requests_are_counted_by_route_and_version(client: TestClient, image: bytes) -> None:
    client.post("/predict", files={"file": ("a.png", image)})
    text = client.get("/metrics").text
    assert 'parking_requests_total{model_version="1",route="/predict",status="200"} 1.0' in text
    assert "parking_image_megapixels_count 1.0" in text
    assert 'parking_request_seconds_count{model_version="1",route="/predict"} 1.0' in text
    assert 'parking_confidence_bucket{le="0.9"} 0.0' in text
    assert "parking_confidence_count 1.0" in text
    assert "parking_slots 2.0" in text
    assert "parking_model_trained_timestamp_seconds 1.7672256e+09" in text


def test_a_failure_is_counted_for_the_version_that_was_asked(client: TestClient) -> None:
    client.post("/predict", files={"file": ("x.png", b"hello")})
    text = client.get("/metrics").text
    assert 'parking_requests_total{model_version="1",route="/predict",status="422"} 1.0' in text


def test_the_api_document_has_an_example_of_every_answer_and_failure(client: TestClient, image: bytes) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    responses = paths["/predict"]["post"]["responses"]
    assert {"200", "400", "401", "406", "413", "415", "422", "429", "503", "504"} == set(responses)
    answer = client.post("/predict", files={"file": ("a.png", image)})
    content = responses["200"]["content"]
    assert content["application/json"]["example"].keys() == answer.json().keys()
    geojson = client.post("/predict", files={"file": ("a.png", image)}, headers={"Accept": "application/geo+json"})
    # The example is of a georeferenced image, which needs no `crs`.
    assert content["application/geo+json"]["example"].keys() == geojson.json().keys() - {"crs"}
    PredictionAnswer.model_validate(content["application/json"]["example"])
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    example = response["content"]["application/problem+json"]["example"]
                    assert example["status"] == int(status)


def test_the_docs_and_the_page(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert client.get("/docs").status_code == 200
    schema = client.get("/openapi.json").json()
    assert "/predict" in schema["paths"]


def test_the_request_id_stands_in_the_log_line(client: TestClient, image: bytes) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{extra[request_id]} {message}", filter=lambda r: "request_id" in r["extra"])
    client.post("/predict", files={"file": ("a.png", image)}, headers={"X-Request-ID": "abc-2"})
    logger.remove(sink)
    assert any(line.startswith("abc-2 POST /predict 200") for line in lines)
