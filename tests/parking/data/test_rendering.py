"""Values of every kind become the colours that they stand for, and what is no data is masked."""

import pickle
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

from parking.data.imagery import read_raster
from parking.data.rendering import render, rendering_of
from parking.data.stretch import Stretch
from tests.parking.data.test_imagery import encoded
from tests.parking.data.tiffs import gdal_tiff

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
GREY, UNDEFINED = ColorInterp.gray, ColorInterp.undefined


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("white", [False, True], ids=["black is 0", "white is 0"])
def test_grey_of_few_bits_uses_the_whole_range(bits: int, white: bool) -> None:
    levels = (RAMP.astype(int) % 2**bits).astype(np.uint8)
    data = gdal_tiff(levels, nbits=bits, photometric="MINISWHITE" if white else "MINISBLACK")
    expected = levels.astype(int) * 255 // (2**bits - 1)
    found = read_raster(data)
    assert np.abs(found.pixels[:, :, 1] - (255 - expected if white else expected)[:, :, 0]).max() <= 1
    assert found.stretch is None


def test_colours_of_four_bits_use_the_whole_range() -> None:
    data = gdal_tiff(np.dstack([RAMP % 16, RAMP // 16, RAMP % 16]), nbits=4, photometric="RGB")
    assert read_raster(data).pixels[15, 15].tolist() == [255, 255, 255]
    assert read_raster(data).pixels[0, 8].tolist() == [136, 0, 136]


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.int16])
def test_deep_grey_whose_zero_is_white_is_a_positive(kind: Any) -> None:
    ground = np.linspace(0, 4000, 400).reshape(20, 20, 1).astype(kind)
    positive = read_raster(gdal_tiff(ground, photometric="MINISBLACK")).pixels.astype(int)
    negative = read_raster(gdal_tiff(ground, photometric="MINISWHITE")).pixels.astype(int)
    assert positive[0, 0, 0] < positive[-1, -1, 0]
    assert negative[0, 0, 0] > negative[-1, -1, 0]
    assert np.unique(negative).size > 100


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_palette_has_as_many_colours_as_its_values_allow(kind: Any) -> None:
    last = np.iinfo(kind).max
    colormap = {0: (9, 8, 7, 255), last // 2: (10, 200, 30, 255), last: (250, 10, 20, 255)}
    indices = np.array([[[0], [last // 2], [last]]], kind)
    data = gdal_tiff(indices, photometric="palette", colormap=colormap)
    assert read_raster(data).pixels[0].tolist() == [[9, 8, 7], [10, 200, 30], [250, 10, 20]]
    assert read_raster(data, stretch=Stretch(0, 9, "caller")).stretch is None


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("options", [{}, {"compression": "jpeg"}], ids=["bare", "jpeg"])
def test_other_spaces_of_colour_become_rgb(mode: str, options: dict[str, Any]) -> None:
    orange = Image.new("RGB", (32, 32), (200, 120, 40)).convert(mode)
    found = read_raster(encoded(orange, "TIFF", **options)).pixels
    assert np.abs(found.astype(int) - (200, 120, 40)).max() <= 12


def test_lightness_and_two_opponent_colours_become_rgb() -> None:
    orange = Image.merge("LAB", [Image.new("L", (32, 32), value) for value in (148, 128 + 24, 128 + 55)])
    red, green, blue = read_raster(encoded(orange, "TIFF")).pixels[0, 0].tolist()
    assert red == pytest.approx(200, abs=12)
    assert green == pytest.approx(120, abs=12)
    assert blue < 60


def test_the_ink_of_a_print_of_sixteen_bits_is_measured_by_the_paper() -> None:
    inks = np.tile((0.0, 0.4, 0.8, 0.2), (8, 8, 1))
    data = gdal_tiff((inks * 65535).astype(np.uint16), photometric="CMYK")
    found = read_raster(data)
    assert found.stretch is None
    assert np.abs(found.pixels[0, 0] - np.array([204, 122, 41])).max() <= 2


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (["Blue", "Green", "Red", "NIR"], [30, 20, 10]),
        (["b", "g", "r", None], [30, 20, 10]),
        (["Band 1 (blue)", "Band 2 (green)", "Band 3 (red)", "Band 4 (red edge)"], [30, 20, 10]),
        (["Red Edge", "red", "green", "blue"], [20, 30, 40]),
        (["nir", "red", "green", None], [10, 20, 30]),
        ([None, None, None, None], [10, 20, 30]),
        (["one", "two", "three", "four"], [10, 20, 30]),
    ],
)
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_bands_are_taken_by_their_descriptions(descriptions: Any, expected: list[int], photometric: str) -> None:
    bands = np.zeros((8, 8, 4), np.uint8) + np.array([10, 20, 30, 40], np.uint8)
    data = gdal_tiff(bands, descriptions=descriptions, photometric=photometric, alpha="no")
    assert read_raster(data).pixels[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        ([GREY, UNDEFINED, UNDEFINED], [10, 20, 30]),
        ([ColorInterp.blue, ColorInterp.green, ColorInterp.red], [30, 20, 10]),
    ],
)
def test_bands_are_taken_by_their_interpretation(colours: list[ColorInterp], expected: list[int]) -> None:
    bands = np.zeros((8, 8, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    assert read_raster(gdal_tiff(bands, colours=colours, photometric="minisblack")).pixels[0, 0].tolist() == expected


GROUND = np.random.default_rng(1).integers(20, 200, (32, 48, 3)).astype(np.uint8)
HOLE = np.zeros((32, 48), bool)
HOLE[:, :12] = True


def with_hole(kind: str) -> bytes:
    values = np.where(HOLE[:, :, None], np.uint8(0), GROUND)
    match kind:
        case "nodata":
            return gdal_tiff(values, nodata=0)
        case "mask":
            return gdal_tiff(values, mask=~HOLE)
        case "alpha":
            opaque = np.where(HOLE, 0, 255).astype(np.uint8)
            return gdal_tiff(np.dstack([values, opaque]), photometric="rgb", alpha="yes")
        case "NaN":
            return gdal_tiff(np.where(HOLE[:, :, None], np.float32(np.nan), GROUND.astype(np.float32)))
        case "infinity":
            return gdal_tiff(np.where(HOLE[:, :, None], np.float32(np.inf), GROUND.astype(np.float32)))
        case "NaN declared":
            return gdal_tiff(np.where(HOLE[:, :, None], np.nan, GROUND.astype(np.float64)), nodata=np.nan)
        case "the smallest float":
            least = np.finfo(np.float32).min
            return gdal_tiff(np.where(HOLE[:, :, None], least, GROUND.astype(np.float32)))
        case "-9999":
            return gdal_tiff(np.where(HOLE[:, :, None], -9999, GROUND.astype(np.int16)), nodata=-9999)
        case "palette":
            colormap = {index: (index, index, index, 255) for index in range(256)}
            return gdal_tiff(values[:, :, :1].copy(), photometric="palette", colormap=colormap, nodata=0)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    ["nodata", "mask", "alpha", "NaN", "infinity", "NaN declared", "the smallest float", "-9999", "palette"],
)
def test_what_is_no_data_is_masked_and_not_black(kind: str) -> None:
    raster = read_raster(with_hole(kind))
    assert raster.mask is not None
    assert np.array_equal(raster.mask, ~HOLE)
    assert np.ptp(raster.pixels[HOLE], axis=0).max() == 0
    assert np.abs(raster.pixels[HOLE][0] - raster.pixels[~HOLE].mean(axis=0)).max() <= 1


def test_a_pixel_that_lacks_one_band_alone_is_dark_and_no_hole() -> None:
    values = GROUND.copy()
    values[5, 5] = (0, 90, 80)
    raster = read_raster(gdal_tiff(values, nodata=0))
    assert raster.mask is None
    assert np.array_equal(raster.pixels, values)


LAYOUTS: list[dict[str, Any]] = [
    {"interleave": "band"},
    {"interleave": "pixel"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16},
    {"bigtiff": "yes"},
    {"compress": "lzw", "predictor": 2},
    {"compress": "zstd"},
    {"driver": "COG"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_how_a_file_is_laid_out_changes_no_pixel(layout: dict[str, Any]) -> None:
    if layout.get("driver") == "COG":
        layout = {"driver": "COG"}
    assert np.array_equal(read_raster(gdal_tiff(GROUND, **layout)).pixels, GROUND)


def deep_source(side: int = 512) -> NDArray[np.uint16]:
    """Twelve bits, dark on the left and light on the right."""
    noise = np.random.default_rng(2).integers(0, 300, (side, side, 3))
    return (noise + np.linspace(200, 3000, side)[None, :, None]).astype(np.uint16)


@pytest.mark.parametrize("overviews", [False, True])
def test_windows_of_one_source_are_rendered_alike(overviews: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parking.data.rendering._AT_ONCE", 1000)
    with MemoryFile(gdal_tiff(deep_source())) as file:
        if overviews:
            with rasterio.open(file.name, "r+") as dataset:
                dataset.build_overviews([2, 4, 8])
        with file.open() as dataset:
            rendering = pickle.loads(pickle.dumps(rendering_of(dataset)))
            whole, _ = render(dataset, rendering)
            for column in (0, 100, 400):
                part, mask = render(dataset, rendering, Window(column, 50, 112, 60))
                assert mask is None
                assert np.array_equal(part, whole[50:110, column : column + 112])
            small, _ = render(dataset, rendering, out_shape=(64, 64))
            assert small.shape == (64, 64, 3)
    alone = read_raster(gdal_tiff(deep_source())).stretch
    assert alone is not None
    assert rendering.stretch is not None
    # Patches see a little less than the whole.
    assert rendering.stretch.high == pytest.approx(alone.high, rel=0.06)


def test_a_caller_may_say_how_a_source_is_stretched() -> None:
    with MemoryFile(gdal_tiff(deep_source())) as file, file.open() as dataset:
        rendering = rendering_of(dataset, Stretch(0, 2550, "caller"))
        pixels, _ = render(dataset, rendering)
    assert np.abs(pixels.astype(int) - np.minimum(255, deep_source() / 10)).max() <= 1


def test_a_source_of_eight_bits_is_left_as_it_is() -> None:
    with MemoryFile(gdal_tiff(GROUND)) as file, file.open() as dataset:
        rendering = rendering_of(dataset)
        assert rendering.stretch is None
        assert np.array_equal(render(dataset, rendering)[0], GROUND)
