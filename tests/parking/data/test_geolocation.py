"""Images that are placed by points or by a camera's model: right, or not at all and with a sentence."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.io import MemoryFile
from rasterio.rpc import RPC

from parking.data.imagery import read_raster
from parking.data.raster import Raster
from parking.errors import SurveyError
from parking.survey.sources import find_sources
from tests.parking.data.tiffs import Picture, tiff_of

WIDTH, HEIGHT = 60, 40
CORNERS = [(0.0, 0.0), (60.0, 0.0), (0.0, 40.0), (60.0, 40.0)]
LAMBERT = Affine(0.2, 0.0, 700_000.0, 0.0, -0.2, 6_600_000.0)


def points_of(transform: Affine, pixels: Sequence[tuple[float, float]] = CORNERS) -> list[GroundControlPoint]:
    places = [transform @ pixel for pixel in pixels]
    return [
        GroundControlPoint(row=row, col=column, x=x, y=y) for (column, row), (x, y) in zip(pixels, places, strict=True)
    ]


def camera(latitude: float, longitude: float, metres: float) -> RPC:
    """One that looks straight down: a pixel is `metres` large, north is up."""
    down, across = metres / 111_320, metres / (111_320 * math.cos(math.radians(latitude)))
    one, column, row = [1.0] + [0.0] * 19, [0.0, 1.0] + [0.0] * 18, [0.0, 0.0, -1.0] + [0.0] * 17
    return RPC(
        height_off=50.0, height_scale=500.0,
        lat_off=latitude, lat_scale=down * HEIGHT / 2, long_off=longitude, long_scale=across * WIDTH / 2,
        line_off=HEIGHT / 2, line_scale=HEIGHT / 2, samp_off=WIDTH / 2, samp_scale=WIDTH / 2,
        line_num_coeff=row, line_den_coeff=one, samp_num_coeff=column, samp_den_coeff=one,
    )  # fmt: skip


def tiff(
    points: Sequence[GroundControlPoint] = (),
    crs: str = "EPSG:2154",
    rpcs: RPC | None = None,
    transform: Affine | None = None,
) -> bytes:
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8"}
    placed = {"crs": crs, "transform": transform} if transform else {}
    with MemoryFile() as file:
        with file.open(**profile, **placed) as dataset:
            dataset.write(np.full((3, HEIGHT, WIDTH), 120, np.uint8))
            if points:
                dataset.gcps = (list(points), crs)
            if rpcs:
                dataset.rpcs = rpcs
        return bytes(file.read())


def assert_not_placed(raster: Raster, reason: str) -> None:
    assert (raster.crs, raster.transform) == (None, None)
    (warning,) = raster.warnings
    assert reason in warning
    assert "places are in pixels" in warning


@pytest.mark.parametrize("turn", [0.0, 30.0, 180.0])
@pytest.mark.parametrize("count", [3, 4])
def test_control_points_on_a_plane_place_an_image(turn: float, count: int) -> None:
    expected = LAMBERT @ Affine.rotation(turn)
    raster = read_raster(tiff(points_of(expected, CORNERS[:count])))
    assert raster.crs == "EPSG:2154"
    assert raster.transform is not None
    assert raster.transform.almost_equals(expected, precision=1e-6)
    assert raster.gsd == pytest.approx(0.2, rel=0.01)
    assert raster.warnings == ()


@settings(max_examples=20, deadline=None)
@given(
    noise=st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)), min_size=9, max_size=9),
    east=st.floats(200_000, 1_100_000),
    north=st.floats(6_100_000, 7_000_000),
)
def test_points_that_are_off_by_decimetres_place_an_image_within_them(
    noise: list[tuple[float, float]], east: float, north: float
) -> None:
    expected = Affine(0.2, 0.0, east, 0.0, -0.2, north)
    pixels = [(column, row) for row in (0.0, 20.0, 40.0) for column in (0.0, 30.0, 60.0)]
    exact = [expected @ pixel for pixel in pixels]
    points = [
        GroundControlPoint(row=row, col=column, x=x + dx, y=y + dy)
        for (column, row), (x, y), (dx, dy) in zip(pixels, exact, noise, strict=True)
    ]
    raster = read_raster(tiff(points))
    assert raster.transform is not None
    found = [raster.transform @ pixel for pixel in pixels]
    assert np.hypot(*(np.array(found) - exact).T).max() < 1.0


def test_points_off_a_plane_place_nothing_and_give_the_resolution() -> None:
    points = points_of(LAMBERT)
    points[3].x += 8.0
    raster = read_raster(tiff(points))
    assert_not_placed(raster, "m off a plane")
    # Eight metres of twelve are no slope to measure by.
    assert raster.gsd is None
    wide = points_of(Affine(2.0, 0.0, 700_000.0, 0.0, -2.0, 6_600_000.0))
    wide[3].x += 8.0
    raster = read_raster(tiff(wide))
    assert_not_placed(raster, "2.0 m off a plane")
    assert raster.gsd == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("west", [179.99999, -180.00001])
def test_points_on_both_sides_of_the_180th_meridian_place_an_image(west: float) -> None:
    expected = Affine(1e-6, 0.0, west, 0.0, -1e-6, -17.0)
    points = points_of(expected)
    for point in points:
        point.x = (point.x + 180) % 360 - 180
    raster = read_raster(tiff(points, crs="EPSG:4326"))
    assert raster.transform is not None
    assert raster.transform.a == pytest.approx(1e-6)
    assert raster.gsd == pytest.approx(0.109, rel=0.01)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (points_of(LAMBERT, CORNERS[:2]), "2 ground control points of the image define no plane"),
        (points_of(LAMBERT, [(0, 0), (30, 20), (60, 40)]), "define no plane"),
        (points_of(LAMBERT, [(9, 9)] * 4), "define no plane"),
    ],
)
def test_points_that_place_nothing_are_said(points: list[GroundControlPoint], reason: str) -> None:
    raster = read_raster(tiff(points))
    assert_not_placed(raster, reason)
    assert raster.gsd is None


def test_points_without_a_coordinate_system_place_nothing() -> None:
    numbers = [[*corner, 0.0, *(LAMBERT @ corner), 0.0] for corner in CORNERS]
    picture = Picture(np.full((HEIGHT, WIDTH, 3), 120, np.uint8), {33922: [value for row in numbers for value in row]})
    assert_not_placed(read_raster(tiff_of(picture)), "name no coordinate system")


@pytest.mark.parametrize("latitude", [0.0, 48.85, -60.0])
def test_a_camera_model_gives_the_resolution_and_no_place(latitude: float) -> None:
    raster = read_raster(tiff(rpcs=camera(latitude, 2.3, 0.3)))
    assert_not_placed(raster, "is not orthorectified")
    assert raster.gsd == pytest.approx(0.3, rel=0.01)


def test_a_camera_model_beside_a_transform_is_said() -> None:
    raster = read_raster(tiff(rpcs=camera(48.85, 2.3, 0.2), transform=LAMBERT))
    assert raster.transform is not None
    assert raster.gsd == pytest.approx(0.2, rel=0.01)
    (warning,) = raster.warnings
    assert "unless it was orthorectified, relief moves its positions" in warning


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(points_of(LAMBERT)), "ground control points, which a survey does not read"),
        (tiff(rpcs=camera(48.85, 2.3, 0.3)), r"a camera model \(RPC\), which a survey does not read"),
    ],
)
def test_a_survey_refuses_what_is_not_rectified_though_a_crs_is_named(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "scene.tif").write_bytes(data)
    with pytest.raises(SurveyError, match=reason):
        find_sources([str(tmp_path)], gsd=0.2, crs="EPSG:2154")
