import io
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from parking.data.imagery import encode_png, read_raster
from parking.errors import ImageError, ImageTooLargeError

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def geotiff(
    pixels: NDArray[Any],
    crs: str,
    resolution: float,
    x: float,
    y: float,
    colours: Sequence[ColorInterp] = (),
    **options: Any,
) -> bytes:
    """(H, W, bands) as GeoTIFF with its upper left corner at x, y."""
    profile = {
        "driver": "GTiff",
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "count": pixels.shape[2],
        "dtype": pixels.dtype,
        "crs": crs,
        "transform": rasterio.Affine(resolution, 0, x, 0, -resolution, y),
        **options,
    }
    with MemoryFile() as file:
        with file.open(**profile) as dataset:
            dataset.write(np.moveaxis(pixels, 2, 0))
            if colours:
                dataset.colorinterp = colours
            # When it was saved, and when it was taken.
            dataset.update_tags(TIFFTAG_DATETIME="2023:06:14 10:00:00", ACQUISITIONDATETIME="2021-05-04T10:00:00Z")
        return bytes(file.read())


def test_a_png_comes_back_pixel_for_pixel() -> None:
    raster = read_raster(encode_png(PIXELS), name="a.png")
    assert np.array_equal(raster.pixels, PIXELS)
    assert (raster.name, raster.height, raster.width) == ("a.png", 24, 40)
    assert (raster.gsd, raster.acquired, raster.crs, raster.transform) == (None, None, None, None)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_other_formats_are_read(form: str) -> None:
    smooth = Image.fromarray(np.full((24, 40, 3), (200, 120, 40), np.uint8))
    assert np.abs(read_raster(encoded(smooth, form)).pixels.astype(int) - (200, 120, 40)).max() <= 4


DECODE_IN_THREADS = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from parking.data.imagery import read_raster
read_raster(Path(sys.argv[1]))  # imports GDAL, which has filters of its own
filters = list(warnings.filters)
sys.setswitchinterval(1e-5)
with ThreadPoolExecutor(8) as pool:
    list(pool.map(read_raster, [Path(sys.argv[1])] * 400))
assert warnings.filters == filters, warnings.filters
"""


def test_threads_that_decode_leave_each_other_the_filters_of_warnings(tmp_path: Path) -> None:
    # In a process of its own, where a warning that gets through is an error.
    plain = tmp_path / "plain.tif"
    plain.write_bytes(encoded(Image.fromarray(PIXELS), "TIFF"))
    command = [sys.executable, "-W", "error", "-c", DECODE_IN_THREADS, str(plain)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_where_an_image_is_transparent_it_has_no_data(form: str) -> None:
    pixels = np.dstack([np.full((2, 2, 3), 200, np.uint8), np.array([[255, 0], [255, 0]], np.uint8)])
    pixels[:, 1, :3] = 0
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    raster = read_raster(encoded(Image.fromarray(pixels), form, **options))
    assert raster.mask is not None
    assert raster.mask.tolist() == [[True, False]] * 2
    # Not black, which a network takes for ground.
    assert (raster.pixels == 200).all()


def test_grey_and_palette_become_rgb() -> None:
    grey = Image.fromarray(PIXELS[:, :, 0])
    assert np.array_equal(read_raster(encoded(grey)).pixels, np.repeat(PIXELS[:, :, :1], 3, axis=2))
    red = Image.new("P", (4, 4), 1)
    red.putpalette([0, 0, 0, 250, 10, 20])
    assert read_raster(encoded(red)).pixels[0, 0].tolist() == [250, 10, 20]
    assert read_raster(encoded(red, "TIFF")).pixels[0, 0].tolist() == [250, 10, 20]


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "colours"])
def test_a_png_of_sixteen_bits_is_read_with_all_of_them(colours: bool) -> None:
    deep = np.arange(2400).reshape(40, 60).astype(np.uint16)
    values = np.dstack([deep, deep // 2, deep // 4]) if colours else deep
    done, data = cv2.imencode(".png", values[..., ::-1] if colours else values)
    assert done
    found = read_raster(data.tobytes())
    assert np.unique(found.pixels[:, :, 0]).size > 200
    assert found.stretch is not None
    assert found.stretch.high == pytest.approx(2400, rel=0.25)
    if colours:
        assert found.pixels[39, 59, 0] > found.pixels[39, 59, 1] > found.pixels[39, 59, 2]
    else:
        assert (np.ptp(found.pixels, axis=2) == 0).all()


def test_what_is_clear_in_a_png_of_sixteen_bits_is_no_data() -> None:
    deep = np.full((8, 8, 4), 30_000, np.uint16)
    deep[:4, :, 3] = 0
    done, data = cv2.imencode(".png", deep)
    assert done
    mask = read_raster(data.tobytes()).mask
    assert mask is not None
    assert np.array_equal(mask, np.arange(8)[:, None].repeat(8, axis=1) >= 4)


def test_a_tiff_of_sixteen_bits_takes_little_more_memory_than_its_pixels() -> None:
    deep = np.random.default_rng(0).integers(0, 2048, (1500, 1000, 3)).astype(np.uint16)
    data = geotiff(deep, "EPSG:2154", 0.2, 700_000, 6_600_000)
    tracemalloc.start()
    read_raster(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most / deep[:, :, 0].size < 24


def test_a_photograph_lying_on_its_side_is_turned_and_dated() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2021:07:09 12:30:00"
    raster = read_raster(encoded(Image.fromarray(PIXELS), exif=exif))
    assert (raster.height, raster.width) == (40, 24)
    assert np.array_equal(raster.pixels, np.rot90(PIXELS, -1))
    assert raster.acquired == date(2021, 7, 9)


def test_a_photograph_whose_date_is_damaged_is_turned_and_without_a_day() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2021:07:09 12:30:00"
    # The date's text becomes fractions, of which its twenty bytes hold too few.
    date_as_text, as_fractions = b"\x90\x03\x00\x02", b"\x90\x03\x00\x05"
    data = encoded(Image.fromarray(PIXELS), "JPEG", exif=exif)
    assert date_as_text in data
    raster = read_raster(data.replace(date_as_text, as_fractions))
    assert (raster.height, raster.width, raster.acquired) == (40, 24, None)


def test_the_day_on_which_an_image_was_saved_again_is_not_the_day_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0132] = "2026:11:23 12:30:00"
    assert read_raster(encoded(Image.fromarray(PIXELS), exif=exif)).acquired is None


def test_a_tiff_that_names_a_system_but_no_place_in_it_lies_nowhere() -> None:
    profile = {"driver": "GTiff", "height": 24, "width": 40, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
    with MemoryFile() as file:
        with file.open(**profile) as dataset:
            dataset.write(np.moveaxis(PIXELS, 2, 0))
        raster = read_raster(bytes(file.read()))
    assert (raster.gsd, raster.crs, raster.transform) == (None, None, None)
    assert np.array_equal(raster.pixels, PIXELS)


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [
        ((400, 400, 200), np.uint8, "32 MB to read, with 200 bands of 1 bytes; the limit is 24"),
        ((100, 100, 3), np.complex64, "complex values"),
    ],
)
def test_a_tiff_of_few_pixels_and_many_bytes_is_refused(shape: tuple[int, int, int], kind: Any, reason: str) -> None:
    flat = np.zeros(shape, kind)
    options: dict[str, Any] = {"compress": "deflate", "interleave": "pixel", "blockysize": shape[0]}
    data = geotiff(flat, "EPSG:2154", 0.2, 700_000, 6_600_000, **options)
    with pytest.raises(ImageError, match=reason):
        read_raster(data, max_megapixels=2)


def test_a_photograph_with_a_damaged_note_is_turned_all_the_same() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2021:07:09 12:30:00"
    # The date's text becomes a resolution, which should be a number.
    data = encoded(Image.fromarray(PIXELS), "JPEG", exif=exif).replace(b"\x01\x32\x00\x02", b"\x01\x1a\x00\x02")
    assert b"\x01\x1a\x00\x02" in data
    raster = read_raster(data)
    assert (raster.height, raster.width, raster.acquired) == (40, 24, None)


def test_a_geotiff_that_lies_nowhere_on_earth_has_no_resolution() -> None:
    raster = read_raster(geotiff(PIXELS, "EPSG:32631", 0.2, 1e9, 1e9))
    assert (raster.gsd, raster.crs, raster.transform) == (None, None, None)


@pytest.mark.parametrize(
    ("crs", "resolution", "x", "y", "metres"),
    [
        ("EPSG:2154", 0.2, 700_000, 6_600_000, 0.2),
        # A metre of Web Mercator is cos(latitude) metres of ground: half of it at 60 degrees north.
        ("EPSG:3857", 0.3, 1_000_000, 8_399_737.9, 0.15),
        ("EPSG:4326", 1e-6, 2.0, 60.0, 0.0787),
        # US feet.
        ("EPSG:2263", 1.0, 1_000_000, 200_000, 0.3048),
    ],
)
def test_a_geotiff_knows_its_ground_resolution(crs: str, resolution: float, x: float, y: float, metres: float) -> None:
    raster = read_raster(geotiff(PIXELS, crs, resolution, x, y))
    assert raster.gsd == pytest.approx(metres, rel=0.01)
    assert raster.crs == crs
    assert raster.transform is not None
    assert raster.transform.almost_equals(rasterio.Affine(resolution, 0, x, 0, -resolution, y))
    assert raster.bounds == pytest.approx((x, y - 24 * resolution, x + 40 * resolution, y))
    assert raster.acquired == date(2021, 5, 4)
    assert np.array_equal(raster.pixels, PIXELS)


def test_a_text_called_png_is_no_image() -> None:
    with pytest.raises(ImageError, match=r"'notes\.png' is not a PNG, JPEG, WebP or TIFF image"):
        read_raster(b"hello", name="notes.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_half_an_image_is_damaged(form: str, share: float) -> None:
    whole = encoded(Image.fromarray(np.tile(PIXELS, (8, 8, 1))), form)
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_raster(whole[: int(len(whole) * share)], name="half")


def test_a_format_off_the_list_is_refused_though_it_could_be_decoded() -> None:
    with pytest.raises(ImageError, match="is not a PNG"):
        read_raster(encoded(Image.fromarray(PIXELS), "GIF"))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_too_many_pixels_are_refused_before_they_are_decoded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    large = encoded(Image.new("1", (2000, 1500)), form)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageTooLargeError, match=r"2000 x 1500 = 3\.0 megapixels; the limit is 2\.5"):
        read_raster(large, max_megapixels=2.5)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"'none\.png' cannot be read: No such file"):
        read_raster(tmp_path / "none.png")
