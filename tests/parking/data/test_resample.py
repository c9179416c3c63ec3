"""The same ground at another resolution, whatever shape its pixels have."""

import cv2
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from parking.data.raster import Raster, masked
from parking.data.resample import pixel_size, resample
from parking.errors import ImageError, ImageTooLargeError

DEGREES = CRS.from_epsg(4326)
STEP = 0.1 / 111_320
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def test_resampling_keeps_the_ground_in_place() -> None:
    lambert = Affine(0.1, 0, 700_500, 0, -0.1, 6_600_900)
    raster = Raster(np.zeros((100, 200, 3), np.uint8), gsd=0.1, transform=lambert, crs=CRS.from_epsg(2154))
    coarser = resample(raster, 0.2)
    assert (coarser.height, coarser.width, coarser.gsd) == (50, 100, 0.2)
    assert coarser.transform == pytest.approx(Affine(0.2, 0, 700_500, 0, -0.2, 6_600_900), rel=1e-9)
    assert coarser.bounds == pytest.approx(raster.bounds)


def test_an_unknown_resolution_is_left_alone() -> None:
    raster = Raster(PIXELS)
    assert resample(raster, 0.15) is raster
    near = Raster(PIXELS, gsd=0.1505)
    assert resample(near, 0.15) is near


def test_a_coarse_image_is_not_blown_up_beyond_memory() -> None:
    with pytest.raises(ImageTooLargeError, match="10 m a pixel"):
        resample(Raster(np.zeros((1000, 1000, 3), np.uint8), gsd=10), 0.15)


@given(st.floats(-75, 75), st.sampled_from([-180.0, 2.3, 180.0]))
def test_pixels_of_degrees_become_squares_of_metres(latitude: float, longitude: float) -> None:
    raster = Raster(np.zeros((100, 100, 3), np.uint8), gsd=0.1, crs=DEGREES)
    placed = Raster(raster.pixels, gsd=0.1, crs=DEGREES, transform=Affine(STEP, 0, longitude, 0, -STEP, latitude))
    across, down = pixel_size(placed, 0.1)
    assert across / down == pytest.approx(np.cos(np.radians(latitude)), rel=0.01)
    square = resample(placed, 0.1)
    assert square.width / square.height == pytest.approx(np.cos(np.radians(latitude)), abs=0.03)


@pytest.mark.parametrize("latitude", [0.0, 48.0, 60.0, 75.0, -60.0])
def test_a_circle_on_the_ground_is_a_circle_in_the_squares(latitude: float) -> None:
    narrow = float(np.cos(np.radians(latitude)))
    ground = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(ground, (100, 100), 60, (255, 255, 255), cv2.FILLED)
    wide = np.asarray(cv2.resize(ground, (round(200 / narrow), 200), interpolation=cv2.INTER_LINEAR), np.uint8)
    gsd = 0.1 * narrow**0.5
    raster = Raster(wide, gsd=gsd, crs=DEGREES, transform=Affine(STEP, 0, 2.3, 0, -STEP, latitude))
    seen = resample(raster, 0.1).pixels[:, :, 0] > 127
    width, height = seen.any(axis=0).sum(), seen.any(axis=1).sum()
    assert width == pytest.approx(height, abs=3)
    assert width == pytest.approx(121, abs=3)


@pytest.mark.parametrize("turn", [0.0, 30.0, 90.0, 200.0])
@pytest.mark.parametrize("step", [-0.1, 0.1], ids=["north up", "south up"])
def test_turned_and_south_up_images_are_measured_like_others(turn: float, step: float) -> None:
    transform = Affine.translation(700_000, 6_600_000) @ Affine.rotation(turn) @ Affine.scale(0.2, step)
    raster = Raster(np.zeros((50, 50, 3), np.uint8), gsd=0.02**0.5, crs=CRS.from_epsg(2154), transform=transform)
    assert pixel_size(raster, 0.02**0.5) == pytest.approx((0.2, 0.1), rel=1e-3)
    square = resample(raster, 0.1)
    assert (square.height, square.width) == (50, 100)


def test_pixels_that_are_no_rectangles_are_refused() -> None:
    turned = Affine.translation(2.3, 60) @ Affine.rotation(30) @ Affine.scale(STEP, -STEP)
    raster = Raster(PIXELS, name="turned.tif", gsd=0.07, crs=DEGREES, transform=turned)
    with pytest.raises(ImageError, match=r"'turned\.tif' has pixels .* degrees to each other .*gdalwarp"):
        resample(raster, 0.1)


def test_a_caller_who_knows_better_is_believed_the_size_and_not_the_shape() -> None:
    raster = Raster(PIXELS, gsd=0.5, crs=DEGREES, transform=Affine(STEP, 0, 2.3, 0, -STEP, 60.0))
    across, down = pixel_size(raster, 0.5)
    assert (across * down) ** 0.5 == pytest.approx(0.5)
    assert across / down == pytest.approx(0.5, rel=0.01)


def test_a_mask_goes_along_and_what_it_hides_has_the_colour_of_the_rest() -> None:
    pixels = np.full((40, 60, 3), 200, np.uint8)
    pixels[:, :20] = 0
    raster = masked(Raster(pixels, gsd=0.1), np.arange(60) >= np.full((40, 1), 20))
    assert (raster.pixels == 200).all()
    coarse = resample(raster, 0.2)
    assert coarse.mask is not None
    assert coarse.mask.shape == (20, 30)
    assert (coarse.mask == (np.arange(30) >= 10)).all()
    assert (coarse.pixels == 200).all()


def test_an_image_of_nothing_but_nodata_is_all_mask() -> None:
    raster = masked(Raster(PIXELS), np.zeros((24, 40), bool))
    assert raster.mask is not None
    assert not raster.mask.any()
    assert masked(Raster(PIXELS), np.ones((24, 40), bool)).mask is None
