"""Whatever comes in: only 2xx and 4xx go out, no file stays behind, and the memory does not grow."""

import gc
import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from parking.settings import Settings
from service.app import create_app
from tests.doubles import write_bright_model
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.waiting import wait_until

QUICK = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return small_app(tmp_path)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(small_app(tmp_path_factory.mktemp("corpus")), raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


def small_app(folder: Path) -> FastAPI:
    registry = FlippingRegistry({1: write_bright_model(folder / "1.onnx")}, serving=1)
    options = Settings(
        _env_file=None, state_dir=folder / "state", threads=1, max_upload_mb=1, max_megapixels=1, token="open-sesame"
    )
    return create_app(options, registry)


def written(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(mode: str, width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 4), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


SOUND = {
    "png": written(noise("RGB"), "PNG"),
    "jpeg": written(noise("RGB"), "JPEG"),
    "webp": written(noise("RGB"), "WEBP"),
    "tiff": written(noise("RGB"), "TIFF"),
    "tiff, packed": written(noise("RGB"), "TIFF", compression="tiff_adobe_deflate"),
}
ODD = {
    "more than it says": png_of(5, 5, bytes(1_000_000)),
    "one pixel": written(noise("RGB", 1, 1), "PNG"),
    "a line": written(noise("RGB", 6000, 1), "PNG"),
    "a column": written(noise("L", 1, 6000), "PNG"),
    "bilevel": written(noise("1"), "PNG"),
    "palette": written(noise("P"), "PNG"),
    "grey and alpha": written(noise("LA"), "PNG"),
    "alpha": written(noise("RGBA"), "PNG"),
    "16 bits": written(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40)), "PNG"),
    "CMYK": written(noise("CMYK"), "JPEG"),
    "CMYK tiff": written(noise("CMYK"), "TIFF"),
    "float tiff": written(noise("F"), "TIFF"),
    "bilevel tiff": written(noise("1"), "TIFF"),
}


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "a bomb": png_of(60_000, 60_000, bytes(10_000_000)),
    "no pixels": png_of(0, 0, b""),
    "less than it says": png_of(500, 500, b"\0" * 100),
    "a GIF": written(noise("P"), "GIF"),
    "a BMP": written(noise("RGB"), "BMP"),
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a VRT": b'<VRTDataset rasterXSize="9" rasterYSize="9"><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>',
    "a tiff without a picture": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "a tiff that bites its tail": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
}


def status(client: TestClient, data: bytes) -> int:
    answer = client.post("/predict", content=data, headers={"Content-Type": "application/octet-stream"})
    if answer.status_code != 200:
        assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code


@pytest.mark.parametrize("name", [*SOUND, *ODD])
def test_sound_and_odd_images_are_answered(client: TestClient, name: str) -> None:
    assert status(client, {**SOUND, **ODD}[name]) == 200


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_are_refused(client: TestClient, name: str) -> None:
    assert status(client, BROKEN[name]) in (413, 422)


@QUICK
@given(st.sampled_from(list(SOUND)), st.floats(0, 1), st.binary(min_size=1, max_size=12))
def test_damaged_images_are_answered_or_refused(client: TestClient, name: str, where: float, damage: bytes) -> None:
    data = SOUND[name]
    at = int(where * len(data))
    assert status(client, data[:at] + damage + data[at + len(damage) :]) in (200, 413, 422)
    assert status(client, data[:at]) in (200, 413, 422)


@QUICK
@given(st.binary(max_size=300))
def test_any_form_is_answered_or_refused(client: TestClient, body: bytes) -> None:
    for path in ("/predict", "/predict/batch"):
        answer = client.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert 400 <= answer.status_code < 500


def resident_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_broken_images_leave_no_file_and_no_memory_behind(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of its own: other processes make temporary files, too.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    corpus = [*BROKEN.values(), *ODD.values()]
    for data in corpus * 3:
        status(client, data)
    gc.collect()
    before = resident_mb()
    for data in corpus * 10:
        status(client, data)
    gc.collect()
    assert resident_mb() - before < 16, f"{len(corpus) * 10} images cost so many MiB"
    assert not list(tmp_path.iterdir())


# The service runs in this process: its threads, and what they import late, may draw numbers while a case is made.
@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
def test_the_api_does_what_it_says(app: FastAPI) -> None:
    """Every operation of the OpenAPI document, with values that it allows and values that it does not."""
    with running(app) as address:
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        assert len(operations) >= 8
        for operation in operations:
            ask_all(operation)


def ask_all(operation: Any) -> None:
    declared = {*operation.definition.raw["responses"], "404", "405"}

    @QUICK
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(timeout=30)
        assert str(answer.status_code) in declared, f"{answer.status_code} is not declared: {case.as_curl_command()}"
        assert answer.status_code < 500, answer.text

    ask()
