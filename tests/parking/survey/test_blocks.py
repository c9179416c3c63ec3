"""The places of a survey do not depend on how it is cut: into blocks, into files, on which pixel it begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.transform import Affine

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.survey.answers import Answers
from parking.survey.blocks import Block, _places, core_of, plan_blocks
from parking.survey.grid import grid_at
from parking.survey.mosaic import Pixels
from parking.survey.tiling import MARGIN_METRES, Tiling
from tests.doubles import contract, write_bright_model, write_colour_model
from tests.parking.detection.test_scale import street
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, cut, draw, write
from tests.parking.survey.surveying import survey

SIDES = (100, 200, 500)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(write_bright_model(tmp_path_factory.mktemp("model") / "bright.onnx"), threads=1)


def test_a_survey_finds_what_one_image_holds_however_large_its_blocks_are(detector: Detector, tmp_path: Path) -> None:
    pixels, bays = draw(300, 420, 40)
    whole = write(tmp_path / "whole.tif", pixels)
    alone = detector.detect(Raster(pixels, gsd=0.15))
    assert alone.count == bays > 20
    surveys = [survey(detector, whole, block=side) for side in SIDES]
    assert [one.positions for one in surveys] == [surveys[0].positions] * len(SIDES)
    assert [one.pixels for one in surveys] == [300 * 420] * len(SIDES)
    assert len(surveys[0].plan.blocks) > len(surveys[1].plan.blocks) > len(surveys[2].plan.blocks)
    areas = sorted(spot.area_m2 for spot in alone.spots)
    assert surveys[0].areas == pytest.approx(areas, abs=0.05)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 1000), side=st.sampled_from(SIDES))
def test_one_file_and_the_same_cut_in_many_give_the_same_places(
    detector: Detector, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, seed: int, side: int
) -> None:
    folder = tmp_path_factory.mktemp("mosaic")
    drawn, bays = draw(200, 230, 12, seed)
    rows = data.draw(st.lists(st.integers(1, 199), max_size=3, unique=True).map(sorted))
    columns = data.draw(st.lists(st.integers(1, 229), max_size=3, unique=True).map(sorted))
    kind = data.draw(st.sampled_from(["byte", "16 bit", "finer", "coarser"]))
    pixels = drawn.astype(np.uint16) * 13 if kind == "16 bit" else drawn
    step = {"finer": 0.12, "coarser": 0.17}.get(kind)
    whole, parts = folder / "whole.tif", folder / "parts"
    if step:
        # Of another resolution than the model's, so resampled.
        write(whole, pixels, transform=Affine(step, 0, WEST, 0, -step, NORTH))
        for top, bottom in zip([0, *rows], [*rows, 200], strict=True):
            for left, right in zip([0, *columns], [*columns, 230], strict=True):
                corner = Affine(step, 0, WEST + left * step, 0, -step, NORTH - top * step)
                write(parts / f"{top}-{left}.tif", pixels[top:bottom, left:right], transform=corner)
    else:
        write(whole, pixels)
        cut(parts, pixels, rows, columns)
    one, many = survey(detector, whole, block=500), survey(detector, parts, block=side)
    assert len(one.places) == bays
    assert many.positions == one.positions
    assert many.pixels == one.pixels


def test_a_row_of_bays_across_a_seam_is_cut_as_one(detector: Detector, tmp_path: Path) -> None:
    pixels = np.full((120, 400, 3), 20, np.uint8)
    pixels[40:73, 60:145] = 240  # five bays of 17 pixels, side by side
    whole = write(tmp_path / "row.tif", pixels)
    alone = sorted(spot.area_m2 for spot in detector.detect(Raster(pixels, gsd=0.15)).spots)
    assert len(alone) == 5
    for side in SIDES:
        assert survey(detector, whole, block=side, margin=120).areas == pytest.approx(alone, abs=0.05)


def test_a_place_that_the_margin_cuts_is_looked_at_again(detector: Detector, tmp_path: Path) -> None:
    pixels, bays = draw(150, 260, 12)
    whole = write(tmp_path / "bays.tif", pixels)
    found = survey(detector, whole, block=100, margin=8)
    assert len(found.places) == bays
    assert found.areas == pytest.approx(survey(detector, whole, block=500).areas, abs=0.05)


def test_a_second_look_runs_only_the_tiles_that_it_adds_and_sees_the_same(detector: Detector) -> None:
    tiling = Tiling.of(detector.contract, grid_at(LAMBERT, GSD), 300)
    side, stride = 5 * tiling.stride + tiling.overlap, tiling.stride
    seen = Pixels(np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8), np.ones((side, side), np.uint8))
    inner = slice(stride, stride + 3 * stride + tiling.overlap)
    twice, once = Answers(detector, tiling), Answers(detector, tiling)
    twice.of(Pixels(seen.rgb[inner, inner], seen.layer[inner, inner]), 1000 + stride, 500 + stride)
    assert twice.tiles == 9
    np.testing.assert_array_equal(twice.of(seen, 1000, 500), once.of(seen, 1000, 500))
    assert (twice.tiles, once.tiles) == (25, 25)


def test_a_free_kerb_that_reaches_far_beyond_a_block_is_cut_as_one(tmp_path: Path) -> None:
    detector = Detector.load(write_colour_model(tmp_path / "colour.onnx", gsd=GSD), threads=1)
    pixels = np.full((120, 900, 3), 10, np.uint8)
    pixels[50:66, 90:610, 0] = 250  # 78 m, without marks
    pixels[54:62, 94:606, 2] = 250
    kerb = write(tmp_path / "kerb.tif", pixels)
    alone = survey(detector, kerb, block=2000)
    assert len(alone.places) == 14
    assert survey(detector, kerb, block=200).positions == alone.positions


def test_cores_tile_the_plane_and_nothing_lies_on_their_lines() -> None:
    grid = grid_at(LAMBERT, 0.18)
    tiling = Tiling.of(contract(tile=512, overlap=96, gsd=0.18), grid, 4096)
    assert (tiling.side, tiling.margin) == (4160, 160)
    cores = {block: core_of(block, tiling) for block in plan_blocks([(0, 0, 9000, 5000)], tiling)}
    assert Block(-1, -1) in cores
    for block, (left, top, right, bottom) in cores.items():
        assert core_of(Block(block.row, block.column + 1), tiling)[0] == right
        assert core_of(Block(block.row + 1, block.column), tiling)[1] == bottom
        assert (right - left, bottom - top) == (4160, 4160)


@pytest.mark.parametrize(("tile", "overlap", "more"), [(512, 96, 1), (384, 32, 1), (320, 64, 2), (256, 31, 2)])
def test_a_margin_takes_as_few_tiles_as_it_can_and_all_that_they_cover(tile: int, overlap: int, more: int) -> None:
    grid = grid_at(LAMBERT, 0.18)
    tiling = Tiling.of(contract(tile=tile, overlap=overlap, gsd=0.18), grid, 4096)
    left, _, right, _ = core_of(Block(3, 5), tiling)
    assert tiling.margin * 0.18 >= MARGIN_METRES
    assert len(tiling.tiles_over(left - tiling.margin, right + tiling.margin)) == tiling.tiles + more
    assert len(tiling.tiles_over(left - tiling.margin - 1, right + tiling.margin + 2)) == tiling.tiles + more + 2


def test_tiles_without_data_cost_nothing(detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, bays = draw(300, 300, 20)
    far = np.zeros((300, 2000, 3), np.uint8)
    far[:, :300] = pixels
    runs, run = [0], Detector.run_tile

    def counted(self: Detector, tile: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        runs[0] += 1
        return run(self, tile)

    monkeypatch.setattr(Detector, "run_tile", counted)
    found = survey(detector, write(tmp_path / "far.tif", far, nodata=0), block=1000)
    assert len(found.places) == bays
    assert runs[0] < 40


def test_a_larger_threshold_gives_fewer_places_of_a_model_with_cores(tmp_path: Path) -> None:
    detector = Detector.load(write_colour_model(tmp_path / "colour.onnx"), threads=1)
    maps = detector.read(Raster(street(0.2).pixels, gsd=0.2)).maps
    grid = cast(Any, SimpleNamespace(gsd=0.2))
    few, usual = (_places(detector.contract, cast(Any, None), maps, grid, value) for value in (0.9999, None))
    assert len(few) < len(usual) == 3
