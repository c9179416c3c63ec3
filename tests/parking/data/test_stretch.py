"""Values of any type get the light of the images that the model knows, whatever single pixels say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parking.data.imagery import encode_png, read_raster
from parking.data.stretch import Stretch, measured, to_8_bits
from parking.data.synthetic import generate_scene
from tests.parking.data.tiffs import gdal_tiff

SCENE = generate_scene(7, 128).raster.pixels
KINDS = [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]


def flat(kind: Any) -> NDArray[Any]:
    """12 bits of one colour."""
    return np.tile(np.array([2000, 1500, 900], kind), (40, 60, 1))


def brightness(pixels: NDArray[Any]) -> float:
    return float(np.median(read_raster(gdal_tiff(pixels)).pixels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoilt", [0, 2, 24, 45])
def test_a_few_hot_pixels_leave_an_image_its_light(kind: Any, spoilt: int) -> None:
    image = flat(kind)
    image.reshape(-1, 3)[:spoilt] = 30_000
    found = read_raster(gdal_tiff(image))
    red, green, blue = found.pixels[20, 30].tolist()
    assert 125 <= red <= 250
    assert 94 <= green <= 187
    assert 56 <= blue <= 112
    assert found.mask is None


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("collar", ["zero", "largest", "-9999"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_a_collar_that_nobody_declared_leaves_an_image_its_light(kind: Any, collar: str, share: float) -> None:
    if collar == "-9999" and kind == np.uint16:
        pytest.skip("has no negative values")
    deep = (SCENE.astype(float) * 16 + 3).astype(kind)
    largest = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else np.finfo(kind).max
    spoilt = deep.copy()
    rows = round(share * len(deep))
    spoilt[:rows] = {"zero": 0, "largest": largest, "-9999": -9999}[collar]
    clean, dirty = read_raster(gdal_tiff(deep[rows:])), read_raster(gdal_tiff(spoilt))
    assert np.abs(clean.pixels.astype(int) - dirty.pixels[rows:]).max() <= 2


@pytest.mark.parametrize("largest", [1022, 1024, 1030])
def test_tiles_of_one_mosaic_look_alike(largest: int) -> None:
    tile = (SCENE.astype(float) * 4).clip(0, 1000).astype(np.uint16)
    usual = read_raster(gdal_tiff(tile)).pixels.astype(int)
    tile[5, 5] = largest
    assert np.abs(read_raster(gdal_tiff(tile)).pixels.astype(int) - usual)[10:].max() <= 1


def test_glints_above_one_leave_reflectance_its_light() -> None:
    light = (SCENE / 255 * 0.4).astype(np.float32)
    usual = float(np.median(read_raster(gdal_tiff(light)).pixels))
    light.reshape(-1, 3)[::50] = 1.1
    light[5, 6] = np.nan
    found = read_raster(gdal_tiff(light))
    assert np.median(found.pixels) == pytest.approx(usual, rel=0.1)
    assert found.mask is not None
    assert np.argwhere(~found.mask).tolist() == [[5, 6]]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(KINDS), st.floats(4, 80), st.floats(-1, 0.8))
def test_neither_gain_nor_offset_of_a_sensor_changes_the_light(kind: Any, gain: float, lift: float) -> None:
    if np.issubdtype(kind, np.unsignedinteger):
        lift = abs(lift) * 0.8
    values = (SCENE.astype(float) * gain + 255 * gain * lift).astype(kind)
    plain = to_8_bits(SCENE.astype(np.uint16), measured(SCENE.astype(np.uint16))).astype(int)
    assert np.abs(to_8_bits(values, measured(values)) - plain).max() <= 2


def test_a_lawn_is_not_stretched_to_black_and_white() -> None:
    lawn = np.random.default_rng(0).normal(1000, 20, (100, 100, 3)).astype(np.uint16)
    assert np.ptp(read_raster(gdal_tiff(lawn)).pixels.astype(int)) < 80


@pytest.mark.parametrize("value", [0, 1, -5, 40_000])
@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_an_image_of_one_value_is_answered(kind: Any, value: int) -> None:
    found = read_raster(gdal_tiff(np.full((20, 20, 3), value, kind)))
    assert found.stretch is not None
    assert found.stretch.high > found.stretch.low


def test_an_image_without_any_measurement_is_all_mask() -> None:
    found = read_raster(gdal_tiff(np.full((20, 20, 3), np.nan, np.float32)))
    assert found.mask is not None
    assert not found.mask.any()


def test_what_a_caller_says_is_done_and_said() -> None:
    wanted = Stretch(100, 1120, "caller")
    deep = np.array([[[0, 100, 610]], [[1120, 1121, 60_000]]], np.uint16)
    found = read_raster(gdal_tiff(deep), stretch=wanted)
    assert found.pixels.reshape(-1).tolist() == [0, 0, 128, 255, 255, 255]
    assert found.stretch == wanted
    assert read_raster(encode_png(SCENE), stretch=Stretch(0, 127.5, "caller")).pixels[3, 3, 0] == min(
        255, SCENE[3, 3, 0] * 2
    )


def test_eight_bits_stay_as_they_are() -> None:
    dark = SCENE // 8
    for data in (gdal_tiff(dark), encode_png(dark)):
        found = read_raster(data)
        assert np.array_equal(found.pixels, dark)
        assert found.stretch is None


def statistics(values: NDArray[Any]) -> dict[str, float]:
    return {
        "STATISTICS_MINIMUM": float(values.min()),
        "STATISTICS_MAXIMUM": float(values.max()),
        "STATISTICS_MEAN": float(values.mean()),
        "STATISTICS_STDDEV": float(values.std()),
    }


def test_parts_that_declare_the_statistics_of_their_whole_look_alike() -> None:
    mosaic = (SCENE.astype(float) * np.linspace(8, 16, 128)[None, :, None]).astype(np.uint16)
    parts = [mosaic[:, :64], mosaic[:, 64:]]
    alone = [read_raster(gdal_tiff(part)).stretch for part in parts]
    assert alone[0] != alone[1]
    told = [read_raster(gdal_tiff(part, band_tags=statistics(mosaic))).stretch for part in parts]
    assert told[0] == told[1]
    assert told[0] is not None
    assert told[0].source == "statistics"
    # Of the image itself they add nothing, and hot pixels may have spoilt them.
    own = read_raster(gdal_tiff(mosaic, band_tags=statistics(mosaic))).stretch
    assert own is not None
    assert own.source == "percentiles"
    spoilt = mosaic.copy()
    spoilt.reshape(-1)[::40] = 65_535
    lying = read_raster(gdal_tiff(parts[0], band_tags=statistics(spoilt))).stretch
    assert lying == alone[0]
