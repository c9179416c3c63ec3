"""Images that are finer than they are needed are decoded smaller: the same ground, in a fraction of the memory."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from parking.data import resample as resample_module
from parking.data.imagery import read_raster
from parking.data.resample import resample
from parking.detection.detector import Detector
from parking.detection.geojson import to_geojson
from tests.doubles import write_bright_model
from tests.parking.data.tiffs import gdal_tiff


@pytest.fixture(autouse=True)
def _every_image_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample_module, "_LARGE", 0)


def drawn(height: int, width: int) -> NDArray[np.uint8]:
    """Bright rectangles, as wide as places of 2.4 by 5 m are at 0.05 m a pixel, on dark ground."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    for left in range(40, width - 60, 112):
        pixels[60:160, left : left + 48] = 230
    return pixels


def encoded(pixels: NDArray[np.uint8], form: str, **options: Any) -> bytes:
    if form == "TIFF":
        return gdal_tiff(pixels, **options)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **({"quality": 95} if form == "JPEG" else {}), **options)
    return file.getvalue()


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(30, 200),
    width=st.integers(30, 200),
    ratio=st.floats(1.02, 9.0),
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF"]),
    tiled=st.booleans(),
    strip=st.integers(1, 5000),
)
def test_pixels_are_those_of_the_whole_image_resampled(
    height: int, width: int, ratio: float, form: str, tiled: bool, strip: int
) -> None:
    noise = np.random.default_rng(height * width).integers(0, 255, (height // 4 + 2, width // 4 + 2, 3), np.uint8)
    pixels = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16} if form == "TIFF" and tiled else {}
    data = encoded(pixels, form, **layout)
    whole = read_raster(data, gsd=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample_module, "_STRIP", strip)
        small = read_raster(data, gsd=0.02, finest=0.02 * ratio)
    expected = resample(whole, 0.02 * ratio)
    assert (small.frame, small.gsd) == (whole.frame, expected.gsd)
    assert (small.transform is None) == (form != "TIFF")
    assert small.bounds == (expected.bounds and pytest.approx(expected.bounds))
    assert small.pixels.shape == expected.pixels.shape
    assert np.abs(small.pixels.astype(int) - expected.pixels).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_answers_are_those_of_the_whole_image(form: str, orientation: int, tmp_path: Path) -> None:
    detector = Detector.load(write_bright_model(tmp_path / "model.onnx", gsd=0.2, threshold=0.5))
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"exif": exif} if form != "TIFF" else {}
    data = encoded(drawn(232, 900), form, **options)
    whole, small = read_raster(data, gsd=0.05), read_raster(data, gsd=0.05, finest=0.2)
    assert (small.frame, small.height * 4) == (whole.frame, whole.height)
    expected, found = detector.detect(whole), detector.detect(small).in_file(small)
    assert expected.count == found.count > 0
    assert found.gsd == pytest.approx(expected.gsd)
    for one, other in zip(expected.spots, found.spots, strict=True):
        assert other.area_m2 == pytest.approx(one.area_m2, rel=0.02)
        assert other.confidence == pytest.approx(one.confidence, abs=0.02)
    answers = [to_geojson(expected, whole.frame), to_geojson(found, small.frame)]
    bounds = [np.array([f["geometry"]["coordinates"][0] for f in a["features"]]).mean(axis=1) for a in answers]
    # A tenth of a metre: two pixels, or a millionth of a degree.
    assert np.abs(bounds[0] - bounds[1]).max() < (1e-6 if form == "TIFF" else 2.0)


def test_what_cannot_be_averaged_is_decoded_whole() -> None:
    pixels = drawn(230, 400)
    clear = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    clear[:50, :50, 3] = 0
    palette = Image.fromarray(pixels).quantize(8)
    file = io.BytesIO()
    palette.save(file, "TIFF")
    whole = [
        encoded(clear, "PNG"),
        gdal_tiff(pixels, nodata=40),
        gdal_tiff(pixels.astype(np.uint16) * 100),
        file.getvalue(),
    ]
    for data in whole:
        assert read_raster(data, gsd=0.05, finest=0.2).file is None


@pytest.mark.parametrize("gsd", [None, 0.199, 0.3])
def test_an_image_that_is_not_known_to_be_finer_is_decoded_whole(gsd: float | None) -> None:
    raster = read_raster(encoded(drawn(230, 400), "PNG"), gsd=gsd, finest=0.2)
    assert (raster.file, raster.width, raster.gsd) == (None, 400, gsd)


def test_pixels_that_are_no_squares_become_squares_on_the_way() -> None:
    data = encoded(drawn(230, 400), "TIFF", transform=Affine(0.1, 0.0, 700_000.0, 0.0, -0.025, 6_600_000.0))
    raster = read_raster(data, finest=0.2)
    assert (raster.width, raster.height) == (200, 29)
    assert (raster.frame.width, raster.frame.height) == (400, 230)
