"""The picture that is meant, as it was held, and on the day it was taken."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from parking.data.imagery import read_raster
from parking.errors import ImageError
from tests.parking.data.test_imagery import encoded
from tests.parking.data.tiffs import LAMBERT, Picture, gdal_tiff, tiff_of

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
SMALL = PIXELS[::4, ::4].copy()
PREVIEW, MASK, OLD_PREVIEW, CFA, LINEAR_RAW = {254: 1}, {254: 4}, {255: 2}, {262: 32803}, {262: 34892}


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "pictures",
    [
        [Picture(SMALL, PREVIEW), Picture(PIXELS)],
        [Picture(SMALL, OLD_PREVIEW), Picture(PIXELS)],
        [Picture(SMALL), Picture(PIXELS)],
        [Picture(PIXELS), Picture(SMALL, PREVIEW)],
        [Picture(SMALL, PREVIEW, below=[Picture(PIXELS)])],
        [Picture(SMALL, PREVIEW, below=[Picture(SMALL[::2], PREVIEW), Picture(PIXELS)]), Picture(SMALL)],
        [Picture(PIXELS[:, :, 0].repeat(2, axis=0), MASK), Picture(PIXELS)],
        [Picture(PIXELS, {254: 2})],
    ],
    ids=["preview first", "old preview", "smaller", "preview last", "below", "second below", "mask", "page"],
)
def test_the_picture_is_answered_and_not_its_preview(pictures: list[Picture], order: str, big: bool) -> None:
    raster = read_raster(tiff_of(*pictures, order=order, big=big))
    assert np.array_equal(raster.pixels, PIXELS)
    assert raster.warnings == ()


@pytest.mark.parametrize("tags", [CFA, LINEAR_RAW])
def test_a_raw_photograph_is_to_be_developed_first(tags: dict[int, int]) -> None:
    raw = Picture(np.zeros((48, 80), np.uint8), tags)
    with pytest.raises(ImageError, match=r"'a\.dng' is a raw photograph, as DNG has it\. Develop it"):
        read_raster(tiff_of(Picture(PIXELS, PREVIEW, below=[raw])), name="a.dng")


def test_of_several_pages_the_first_is_answered_and_it_is_said() -> None:
    raster = read_raster(tiff_of(Picture(PIXELS, {254: 2}), Picture(PIXELS[::-1].copy(), {254: 2})))
    assert np.array_equal(raster.pixels, PIXELS)
    assert raster.warnings == ("The file holds 2 pictures of this size: this is the answer for the first.",)


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """As Pillow understands EXIF, which is not what is tested."""
    ways = {
        **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM},
        **{5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE},
        8: Image.Transpose.ROTATE_90,
    }
    image = Image.fromarray(pixels)
    return np.asarray(image.transpose(ways[orientation]) if orientation in ways else image)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_an_image_is_turned_as_its_camera_was_held(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    raster = read_raster(encoded(Image.fromarray(PIXELS), form, exif=exif, **options))
    assert np.array_equal(raster.pixels, turned(PIXELS, orientation))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_mask_is_turned_with_its_image(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = np.dstack([PIXELS, np.full((24, 40), 255, np.uint8)])
    clear[:12, :, 3] = 0
    mask = read_raster(encoded(Image.fromarray(clear), form, exif=exif)).mask
    assert mask is not None
    assert np.array_equal(mask, np.arange(24) < np.full((40, 1), 12))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_georeferenced_image_lies_as_its_transform_says(orientation: int) -> None:
    raster = read_raster(tiff_of(Picture(PIXELS, {274: orientation, **LAMBERT})))
    assert np.array_equal(raster.pixels, PIXELS)
    assert raster.bounds == pytest.approx((700_000, 6_599_995.2, 700_008, 6_600_000))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_alone_turns_no_image_and_tells_the_day(form: str) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6" exif:DateTimeOriginal="2019-08-07T10:00:00"/>'
    if form == "TIFF":
        data = tiff_of(Picture(PIXELS, {700: packet}))
    elif form == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded(Image.fromarray(PIXELS), "PNG", pnginfo=text)
    else:
        data = encoded(Image.fromarray(PIXELS), form, xmp=packet)
    raster = read_raster(data)
    assert raster.pixels.shape == (24, 40, 3)
    assert raster.acquired == date(2019, 8, 7)


TAKEN, SAVED = b"2017:05:02 11:00:00\0", b"2024:11:01 10:00:00\0"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_the_day_is_when_a_camera_took_it_not_when_it_was_saved_or_scanned(order: str, big: bool) -> None:
    saved = {306: SAVED}
    assert read_raster(tiff_of(Picture(PIXELS, saved), order=order, big=big)).acquired is None
    scanned = Picture(PIXELS, saved, exif={0x9004: SAVED})
    assert read_raster(tiff_of(scanned, order=order, big=big)).acquired is None
    taken = Picture(PIXELS, saved, exif={0x9003: TAKEN, 0x9004: SAVED})
    assert read_raster(tiff_of(taken, order=order, big=big)).acquired == date(2017, 5, 2)
    below = Picture(SMALL, PREVIEW, exif={0x9003: TAKEN}, below=[Picture(PIXELS)])
    assert read_raster(tiff_of(below, order=order, big=big)).acquired == date(2017, 5, 2)


@pytest.mark.parametrize(
    ("tags", "day"),
    [
        ({"ACQUISITIONDATETIME": "2021-05-04 10:00:00"}, date(2021, 5, 4)),
        ({"EXIF_DateTimeOriginal": "2020:02:29 10:00:00"}, date(2020, 2, 29)),
        ({"TIFFTAG_DATETIME": "2021:05:04 10:00:00"}, None),
        ({"EXIF_DateTime": "2021:05:04 10:00:00", "EXIF_DateTimeDigitized": "2021:05:04 10:00:00"}, None),
        ({"ACQUISITIONDATETIME": "unknown"}, None),
        ({"ACQUISITIONDATETIME": "2091-05-04"}, None),
        ({"ACQUISITIONDATETIME": "0000:00:00 00:00:00"}, None),
        ({"ACQUISITIONDATETIME": "2021-02-30"}, None),
    ],
)
def test_of_the_dates_that_gdal_knows_that_of_the_acquisition_counts(tags: dict[str, str], day: date | None) -> None:
    assert read_raster(gdal_tiff(PIXELS, tags=tags)).acquired == day


@given(st.binary(min_size=4, max_size=400), st.integers(0, 2000))
def test_damage_to_a_directory_ends_in_an_answer_or_a_sentence(damage: bytes, where: int) -> None:
    data = tiff_of(Picture(SMALL, PREVIEW, {0x9003: TAKEN}, below=[Picture(SMALL)]), Picture(SMALL, {700: b"xmp" * 20}))
    at = where % len(data)
    try:
        raster = read_raster(data[:at] + damage + data[at + len(damage) :], max_megapixels=1)
    except ImageError:
        return
    assert raster.pixels.size


def test_directories_that_go_in_circles_end() -> None:
    data = bytearray(tiff_of(Picture(PIXELS)))
    data[-4:] = data[4:8]
    assert np.array_equal(read_raster(bytes(data)).pixels, PIXELS)
