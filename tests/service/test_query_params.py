"""What a caller may ask for, and in which form an image may come."""

import datetime as dt
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from monitoring.drift import IMAGE_COLUMNS
from monitoring.schema import read_rows
from parking.data.imagery import encode_png, read_raster
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
    assert body["gsd"] == {"value": 0.3, "source": "caller"}
    # 5.1 x 9.9 m: four bays of 2.5 x 5 m.
    assert sum(spot["area_m2"] for spot in body["spots"]) == pytest.approx(17 * 33 * 0.3**2, rel=0.05)
    assert body["count"] == 4


def test_an_image_that_is_finer_than_needed_is_answered_as_it_is(
    client: TestClient, two_bays: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = encode_png(np.repeat(np.repeat(read_raster(two_bays).pixels, 4, axis=0), 4, axis=1))
    whole = ask(client, fine, gsd=0.15 / 4)
    monkeypatch.setattr("parking.data.resample._LARGE", 0)
    found = ask(client, fine, gsd=0.15 / 4)
    assert found["spots"] == whole["spots"]
    for name in ("count", "gsd", "width", "height"):
        assert found[name] == whole[name]


def test_who_gave_the_gsd_is_said_in_every_form(client: TestClient, two_bays: bytes) -> None:
    headers = {"Content-Type": "image/png", "Accept": "application/geo+json"}
    answer = client.post("/predict?gsd=0.2", content=two_bays, headers=headers)
    assert answer.json()["gsd"] == {"value": 0.2, "source": "caller"}


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
        ("stretch=9", "stretch"),
        ("stretch=9,5", "the smaller first"),
        ("stretch=0,nan", "the smaller first"),
    ],
)
def test_a_wish_that_cannot_be_is_named(client: TestClient, two_bays: bytes, query: str, words: str) -> None:
    answer = client.post(f"/predict?{query}", content=two_bays, headers={"Content-Type": "image/png"})
    assert_problem(answer, 422, words)


def in_a_form(client: TestClient, data: bytes, query: str = "", **fields: str) -> Any:
    return client.post(f"/predict{query}", files={"file": ("a.png", data)}, data=fields)


def test_what_a_form_says_besides_its_file_is_heeded(client: TestClient, two_bays: bytes) -> None:
    answer = in_a_form(client, two_bays, gsd="0.3", threshold="0.9", tta="on", min_area="")
    assert (answer.json()["gsd"]["value"], answer.json()["gsd"]["source"]) == (0.3, "caller")
    assert answer.json()["threshold"] == 0.9
    assert in_a_form(client, two_bays, "?threshold=0.9", threshold="0.9", gsd="0.3").json()["spots"]


@pytest.mark.parametrize(
    ("query", "fields", "words"),
    [
        ("", {"threshold": "7"}, "threshold"),
        ("", {"treshold": "0.5"}, "treshold"),
        ("", {"gsd": "fine"}, "gsd"),
        ("?gsd=0.3", {"gsd": "0.2"}, "different things"),
    ],
)
def test_a_field_that_cannot_be_heeded_is_named(
    client: TestClient, two_bays: bytes, query: str, fields: dict[str, str], words: str
) -> None:
    assert_problem(in_a_form(client, two_bays, query, **fields), 422, words)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a.jpg", "type": "image/jpeg", "relativePath": "null"},
        {"dzuuid": "1", "dzchunkindex": "0", "dztotalfilesize": "9"},
        {"qquuid": "1", "qqfilename": "a.jpg", "qqtotalfilesize": "9"},
        {"lastModified": "1700000000000", "size": "9", "webkitRelativePath": "a/b.jpg"},
        {"csrfmiddlewaretoken": "x", "authenticity_token": "y", "_charset_": "utf-8", "submit": "Send"},
    ],
)
def test_fields_that_widgets_add_of_their_own_ask_for_nothing(
    client: TestClient, two_bays: bytes, fields: dict[str, str]
) -> None:
    assert in_a_form(client, two_bays, **fields).status_code == 200


def test_a_batch_heeds_the_fields_of_its_form(client: TestClient, two_bays: bytes) -> None:
    files = [("file", ("a.png", two_bays)), ("file", ("b.png", two_bays))]
    results = client.post("/predict/batch", files=files, data={"threshold": "0.9"}).json()["results"]
    assert [result["answer"]["threshold"] for result in results] == [0.9, 0.9]
    assert_problem(client.post("/predict/batch", files=files, data={"treshold": "0.9"}), 422, "treshold")


def test_a_caller_may_say_which_values_are_black_and_white(client: TestClient) -> None:
    deep = np.full((120, 160), 300, np.uint16)
    deep[40:73, 20:37] = 3000
    data = cv2.imencode(".png", deep)[1].tobytes()
    assert ask(client, data)["stretch"]["source"] == "percentiles"
    body = ask(client, data, stretch="0,4000")
    assert (body["stretch"], body["count"]) == ({"low": 0.0, "high": 4000.0, "source": "caller"}, 1)
    assert ask(client, data, stretch="0,60000")["count"] == 0


@pytest.mark.parametrize(
    "kind",
    [
        *("image/jpg", "image/pjpeg", "image/x-png", "image/tiff; application=geotiff", "IMAGE/PNG"),
        *("application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded", ""),
    ],
)
def test_whatever_clients_call_an_image_its_bytes_decide(client: TestClient, two_bays: bytes, kind: str) -> None:
    answer = client.post("/predict", content=two_bays, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.json()["count"]) == (200, 2)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("; filename*=utf-8''%E5%81%9C.jpg", "停.jpg"),
        ("; filename*=iso-8859-1'de'stra%DFe.jpg", "straße.jpg"),
        ("; filename=\"a.jpg\"; filename*=utf-8''%E5%81%9C.jpg", "停.jpg"),
        ('; filename="a.jpg"', "a.jpg"),
        ("", "image"),
    ],
)
def test_a_file_may_be_named_in_any_way_or_not_at_all(client: TestClient, words: str, name: str) -> None:
    head = f'--X\r\nContent-Disposition: form-data; name="file"{words}\r\n\r\n'
    body = head.encode() + b"no image\r\n--X--\r\n"
    answer = client.post("/predict", content=body, headers={"Content-Type": "multipart/form-data; boundary=X"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith((f"'{name}' is not a PNG", "'a.jpg' is not a PNG"))


def test_a_file_in_another_field_is_told_its_name(client: TestClient, two_bays: bytes) -> None:
    answer = client.post("/predict", files={"image": ("a.png", two_bays)})
    assert_problem(answer, 422, "the image is in a field called 'image'")


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
