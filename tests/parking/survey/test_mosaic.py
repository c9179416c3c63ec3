"""Any raster that says where it lies is read, and where several lie, the one that the rule names."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject

from parking.data.imagery import read_raster
from parking.detection.detector import Detector
from parking.errors import SurveyError
from parking.survey.blocks import BlockContent
from parking.survey.mosaic import read_window
from parking.survey.plan import make_frame, make_layers
from parking.survey.records import rows_of
from parking.survey.sources import find_sources
from tests.doubles import write_bright_model
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, at, cut, draw, write
from tests.parking.survey.surveying import Surveyed, survey


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(write_bright_model(tmp_path_factory.mktemp("model") / "bright.onnx"), threads=1)


def true_areas(found: Surveyed) -> list[float]:
    content = BlockContent(tuple(found.places), (), np.empty((0, 0), bool), 0)
    return sorted(rows_of(content, found.plan.layers, found.plan.grid)["area_m2"].to_pylist())


def warped(path: Path, source: Path, crs: str, step: float | None = None) -> Path:
    """The same ground in another CRS."""
    with rasterio.open(source) as file:
        transform, width, height = calculate_default_transform(
            file.crs, crs, file.width, file.height, *file.bounds, resolution=step
        )
        profile = file.profile | {"crs": crs, "transform": transform, "width": width, "height": height, "nodata": 0}
        with rasterio.open(path, "w", **profile) as out:
            for band in (1, 2, 3):
                reproject(
                    rasterio.band(file, band), rasterio.band(out, band), resampling=Resampling.cubic, dst_nodata=0
                )
    return path


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326", "EPSG:32631", "EPSG:3950"])
def test_a_place_has_its_true_area_whatever_the_crs(detector: Detector, tmp_path: Path, crs: str) -> None:
    pixels, bays = draw(160, 170, 8)
    there = write(tmp_path / "lambert.tif", np.maximum(pixels, 1))
    found = survey(detector, warped(tmp_path / "other.tif", there, crs))
    assert len(found.places) == bays
    assert np.mean(true_areas(found)) == pytest.approx(17 * 33 * GSD**2, rel=0.08)
    assert found.plan.grid.gsd == pytest.approx(GSD, rel=0.01)


def test_feet_are_no_metres(detector: Detector, tmp_path: Path) -> None:
    pixels, bays = draw(140, 150, 6)
    step = GSD / 0.3048006096
    found = survey(detector, write(tmp_path / "feet.tif", pixels, crs="EPSG:2263",
                                   transform=Affine(step, 0, 985_000, 0, -step, 200_000)))  # fmt: skip
    assert len(found.places) == bays
    assert true_areas(found) == pytest.approx([17 * 33 * GSD**2] * bays, rel=0.02)
    assert found.plan.grid.metres == pytest.approx(0.3048006096)


@pytest.mark.parametrize(("lon", "lat", "zone"), [(179.9999, -16.5, 32701), (-70.0, -33.4, 32719)])
def test_both_hemispheres_and_the_antimeridian(
    detector: Detector, tmp_path: Path, lon: float, lat: float, zone: int
) -> None:
    pixels, bays = draw(160, 170, 8)
    down = GSD / 111_000
    across = down / math.cos(math.radians(lat))
    there = write(tmp_path / "degrees.tif", pixels, crs="EPSG:4326", transform=Affine(across, 0, lon, 0, -down, lat))
    found = survey(detector, there)
    assert (len(found.places), found.plan.grid.crs) == (bays, f"EPSG:{zone}")
    assert np.mean(true_areas(found)) == pytest.approx(17 * 33 * GSD**2, rel=0.08)


@pytest.mark.parametrize(("degrees", "south_up"), [(30, False), (180, False), (0, True)])
def test_rotated_and_south_up_rasters_show_the_same_ground(
    detector: Detector, tmp_path: Path, degrees: int, south_up: bool
) -> None:
    pixels, bays = draw(150, 160, 6)
    transform = (
        Affine.translation(WEST, NORTH) @ Affine.rotation(degrees) @ Affine.scale(GSD, GSD if south_up else -GSD)
    )
    found = survey(detector, write(tmp_path / "turned.tif", pixels, transform=transform))
    assert len(found.places) == bays
    assert np.mean(true_areas(found)) == pytest.approx(17 * 33 * GSD**2, rel=0.08)


def test_the_direction_of_a_place_is_from_true_north(detector: Detector, tmp_path: Path) -> None:
    pixels = np.full((120, 120, 3), 20, np.uint8)
    pixels[40:73, 60:77] = 240
    # Far from the zone's middle, where the grid's north is nearly three degrees off.
    transform = Affine(GSD, 0, 240_000, 0, -GSD, 6_000_000)
    found = survey(detector, write(tmp_path / "east.tif", pixels, crs="EPSG:32631", transform=transform))
    content = BlockContent(tuple(found.places), (), np.empty((0, 0), bool), 0)
    row = rows_of(content, found.plan.layers, found.plan.grid).to_pylist()[0]
    to_wgs84 = found.plan.grid.to_wgs84()
    bearing, _, _ = Geod(ellps="WGS84").inv(
        *to_wgs84.transform(row["x"], row["y"]), *to_wgs84.transform(row["x"], row["y"] + 10)
    )
    assert abs(bearing) > 2
    assert row["direction"] == pytest.approx(bearing % 180, abs=0.2)
    assert row["length_m"] == pytest.approx(33 * GSD, rel=0.01)


@pytest.mark.parametrize("how", ["nodata", "alpha", "mask"])
def test_nothing_is_found_where_there_is_no_data(detector: Detector, tmp_path: Path, how: str) -> None:
    pixels = np.full((200, 300, 3), 20, np.uint8)
    pixels[40:73, 60:77] = pixels[40:73, 200:217] = 240
    valid = np.ones((200, 300), bool)
    valid[:, 150:] = False
    more: dict[str, Any] = {}
    if how == "nodata":
        pixels[~valid] = 255
        more["nodata"] = 255
    elif how == "alpha":
        pixels = np.dstack([pixels, np.where(valid, 255, 0).astype(np.uint8)])
        more |= {"photometric": "RGB", "alpha": "YES"}
    else:
        more["mask"] = valid
    found = survey(detector, write(tmp_path / "half.tif", pixels, **more))
    assert (len(found.places), found.pixels) == (1, 200 * 150)


def test_where_sources_overlap_the_newest_is_read_and_the_older_shows_through_its_holes(
    detector: Detector, tmp_path: Path
) -> None:
    old, new = (np.full((200, 300, 3), 20, np.uint8) for _ in range(2))
    old[40:73, 60:77] = old[40:73, 200:217] = 240
    new[100:133, 60:77] = 240
    new[:, 150:] = 0
    for name, pixels, day in (("a-old", old, "2020:05:01 00:00:00"), ("b-new", new, "2024:05:01 00:00:00")):
        write(tmp_path / f"{name}.tif", pixels, nodata=0, tags={"ACQUISITIONDATETIME": day})
    found = survey(detector, tmp_path)
    content = BlockContent(tuple(found.places), (), np.empty((0, 0), bool), 0)
    rows = rows_of(content, found.plan.layers, found.plan.grid).to_pylist()
    assert sorted((row["source"], row["date"]) for row in rows) == [
        ("a-old.tif", "2020-05-01"),
        ("b-new.tif", "2024-05-01"),
    ]


def test_of_two_without_a_date_the_finer_is_read(detector: Detector, tmp_path: Path) -> None:
    fine, coarse = np.full((200, 200, 3), 20, np.uint8), np.full((60, 60, 3), 240, np.uint8)
    fine[40:73, 60:77] = 240
    write(tmp_path / "z-fine.tif", fine)
    write(tmp_path / "a-coarse.tif", coarse, transform=at(0, 0, 0.5))
    assert len(survey(detector, tmp_path).places) == 1


def test_sixteen_bits_get_one_stretch_for_the_whole_survey(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(300, 3000, (200, 1200, 3)).astype(np.uint16)
    pixels[:, 600:] //= 3  # a darker half, where a stretch of its own would differ
    pixels[:, [10, 1190]] = 800
    sources = find_sources([str(write(tmp_path / "deep.tif", pixels))], GSD)
    grid, layers = make_frame(sources, GSD).grid, make_layers(sources, {})
    left, top, _, _ = map(round, grid.pixels_of((WEST, NORTH, WEST, NORTH)))
    west, east = (read_window(layers, grid, left + x, top, 20, 20).rgb for x in (0, 1180))
    assert 40 < west[0, 10, 0] < 120
    assert np.array_equal(west[:, 10], east[:, 10])


def deep(kind: str) -> NDArray[Any]:
    """Ground of more than 8 bits, brighter to the east, with a hot pixel."""
    rng = np.random.default_rng(3)
    values = rng.normal(900, 150, (200, 320, 4)) + np.linspace(0, 1500, 320)[None, :, None] * [1.0, 0.7, 0.5, 0.4]
    values[5, 7] = 60_000
    return values.clip(1, 65_535).astype(kind)


@pytest.mark.parametrize("kind", ["uint16", "float32", "int32"])
@pytest.mark.parametrize("bands", ["nir blue green red", "red green blue", "grey", "statistics", "white is zero"])
def test_a_file_gets_the_same_eight_bits_alone_and_in_a_survey(tmp_path: Path, kind: str, bands: str) -> None:
    values, more = deep(kind), dict[str, Any](nodata=0)
    values[150:, 200:] = 0
    if bands in {"grey", "white is zero"}:
        values = values[:, :, :1]
        more |= {"photometric": "miniswhite"} if bands == "white is zero" else {}
    elif bands != "nir blue green red":
        values = np.ascontiguousarray(values[:, :, :3])
    there = write(tmp_path / "alone.tif", values, **more)
    with rasterio.open(there, "r+") as file:
        if bands == "nir blue green red":
            file.descriptions = ("nir", "blue", "green", "red")
        if bands == "statistics":
            for band in (1, 2, 3):
                numbers = {"MINIMUM": 0, "MAXIMUM": 65_000, "MEAN": 2000, "STDDEV": 900}
                file.update_tags(band, **{f"STATISTICS_{name}": value for name, value in numbers.items()})
    alone = read_raster(there.read_bytes(), name="alone.tif")
    sources = find_sources([str(there)], GSD)
    grid = make_frame(sources, GSD).grid
    left, top, _, _ = grid.pixels_of((WEST, NORTH, WEST, NORTH))
    seen = read_window(make_layers(sources, {}), grid, round(left), round(top), 320, 200)
    assert alone.mask is not None
    assert np.array_equal(seen.layer > 0, alone.mask)
    assert np.array_equal(seen.rgb[alone.mask], alone.pixels[alone.mask])


def test_one_deep_file_and_the_same_cut_in_many_get_the_same_stretch(tmp_path: Path) -> None:
    values = np.repeat(np.repeat(deep("uint16")[:, :, :3], 2, axis=0), 2, axis=1)
    for side, folder in ((400, "whole"), (200, "parts")):
        for top in range(0, 400, side):
            for left in range(0, 640, 640 if side == 400 else 320):
                part = values[top : top + side, left : left + (640 if side == 400 else 320)]
                there = write(tmp_path / folder / f"{top}-{left}.tif", part, transform=at(top, left, GSD / 2))
                with rasterio.open(there, "r+") as file:
                    file.build_overviews([2], Resampling.average)
    one, many = (make_layers(find_sources([str(tmp_path / name)], GSD), {})[0] for name in ("whole", "parts"))
    assert {source.overview for source in (*one.sources, *many.sources)} == {0}
    assert len(many.sources) == 4
    assert one.stretch == many.stretch


def test_a_palette_is_read_by_its_colours(detector: Detector, tmp_path: Path) -> None:
    numbers = np.zeros((120, 120, 1), np.uint8)
    numbers[40:73, 60:77] = 7
    there = write(tmp_path / "palette.tif", numbers, photometric="palette")
    with rasterio.open(there, "r+") as file:
        file.write_colormap(1, {0: (20, 20, 20, 255), 7: (240, 240, 240, 255)})
    assert len(survey(detector, there).places) == 1


def test_the_overview_nearest_to_the_models_resolution_is_read(detector: Detector, tmp_path: Path) -> None:
    pixels, bays = draw(140, 150, 6)
    fine = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
    there = write(tmp_path / "fine.tif", fine, transform=at(0, 0, GSD / 4), tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(there, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.nearest)
    (source,) = find_sources([str(there)], GSD)
    assert (source.overview, source.width) == (1, 150)
    assert source.gsd == pytest.approx(GSD, rel=0.01)
    assert len(survey(detector, there).places) == bays


def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    pixels, _ = draw(100, 100, 2)
    with pytest.raises(SurveyError, match="There is no file or folder"):
        find_sources([str(tmp_path / "nowhere.tif")], GSD)
    with pytest.raises(SurveyError, match="There is no raster in"):
        find_sources([str(tmp_path)], GSD)
    with pytest.raises(SurveyError, match="--crs"):
        find_sources([str(write(tmp_path / "plain.tif", pixels, crs=None))], GSD)
    assert find_sources([str(tmp_path / "plain.tif")], GSD, crs=LAMBERT)[0].crs == LAMBERT
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + b"no tiff" * 9)
    with pytest.raises(SurveyError, match="cannot be read"):
        find_sources([str(tmp_path / "broken.tif")], GSD)


def test_imagery_that_is_gone_is_an_error_in_every_thread_and_never_ground_without_data(tmp_path: Path) -> None:
    pixels, _ = draw(100, 200, 4)
    there = cut(tmp_path / "parts", pixels, [], [100], compress="deflate")
    sources = find_sources([str(there)], GSD)
    grid = make_frame(sources, GSD).grid
    layers = make_layers(sources, {})
    column, row, _, _ = (round(value) for value in grid.pixels_of((WEST, NORTH - 1, WEST + 1, NORTH)))
    (there / "0-100.tif").unlink()

    def read(_: int) -> str:
        try:
            return f"read {np.count_nonzero(read_window(layers, grid, column, row, 200, 100).layer)} pixels"
        except RasterioError:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(60))) == {"refused"}
