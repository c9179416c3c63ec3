"""A raster of any size gets the answer of the model, wherever its tiles fall."""

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from parking.data.raster import Raster, masked
from parking.data.synthetic import generate_scene
from parking.detection.detector import Detector
from parking.shipped import shipped_model
from tests.doubles import bright_probability, write_bright_model, write_inverted_model


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return Detector.load(write_bright_model(tmp_path / "model.onnx"), threads=1)


def scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (31, 7), (128, 128), (129, 500), (700, 333)])
@pytest.mark.parametrize("tta", [False, True])
def test_the_map_is_the_models_answer_at_any_size(detector: Detector, size: tuple[int, int], tta: bool) -> None:
    pixels = scene(*size)
    probability = detector.probability(Raster(pixels), tta=tta)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, bright_probability(pixels), atol=1e-5)


def test_the_answer_does_not_depend_on_the_tiling(tmp_path: Path) -> None:
    pixels = scene(400, 500)
    maps = [
        Detector.load(write_bright_model(tmp_path / f"{tile}-{overlap}.onnx", tile=tile, overlap=overlap)).probability(
            Raster(pixels)
        )
        for tile, overlap in ((64, 0), (128, 32), (512, 96))
    ]
    for other in maps[1:]:
        np.testing.assert_allclose(maps[0], other, atol=1e-5)


def test_a_raster_of_another_ground_resolution_is_read_at_the_contracts(detector: Detector) -> None:
    pixels = np.full((300, 400, 3), 20, np.uint8)
    pixels[100:200, 100:150] = 240  # 5 x 2.5 m at 0.05 m a pixel
    fine = detector.detect(Raster(pixels, gsd=0.05, acquired=dt.date(2024, 5, 1)))
    assert fine.probability.shape == (300, 400)
    assert fine.count == 1
    assert fine.spots[0].area_m2 == pytest.approx(12.5, rel=0.05)
    assert (fine.gsd, fine.gsd_source, fine.imagery_date) == (0.05, "file", dt.date(2024, 5, 1))


def test_the_same_ground_has_the_same_places_however_fine_the_image_is() -> None:
    shipped = Detector.load(shipped_model(), threads=1)
    ground = generate_scene(31, 512).raster.pixels
    found = []
    for fineness in (1, 2, 3):
        pixels = np.asarray(
            cv2.resize(ground, None, fx=fineness, fy=fineness, interpolation=cv2.INTER_NEAREST), np.uint8
        )
        spots = shipped.detect(Raster(pixels, gsd=shipped.contract.gsd / fineness)).spots
        found.append([(np.array(spot.ring) / fineness, spot.area_m2) for spot in spots])
    coarse, *fine = found
    assert len(coarse) > 5
    for places in fine:
        assert [area for _, area in places] == pytest.approx([area for _, area in coarse], rel=0.01)
        for (ring, _), (expected, _) in zip(places, coarse, strict=True):
            np.testing.assert_allclose(ring, expected, atol=0.02)


def test_an_image_that_does_not_say_is_taken_as_it_is(detector: Detector) -> None:
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 60:77] = 240
    plain = detector.detect(Raster(pixels))
    assert (plain.count, plain.gsd, plain.gsd_source, plain.imagery_date) == (1, 0.15, "assumed", None)
    assumed = detector.detect(Raster(pixels), assumed_gsd=0.3)
    assert (assumed.count, assumed.gsd, assumed.gsd_source) == (1, 0.3, "assumed")
    assert assumed.spots[0].area_m2 == pytest.approx(4 * plain.spots[0].area_m2, rel=0.01)


def test_threshold_and_smallest_area_can_be_given(detector: Detector) -> None:
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 20:37] = 240
    pixels[40:73, 80:97] = 135  # a probability of 0.61
    assert detector.detect(Raster(pixels)).count == 2
    assert detector.detect(Raster(pixels), threshold=0.8).count == 1
    assert detector.detect(Raster(pixels), min_area_m2=20).count == 0


@pytest.mark.parametrize("assumed", [0.1, 0.15, 0.3])
def test_the_smallest_area_is_in_the_square_metres_of_the_answer(detector: Detector, assumed: float) -> None:
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 20:37] = 240
    pixels[40:50, 80:90] = 240
    least = 200 * assumed**2  # between the two places
    found = detector.detect(Raster(pixels), assumed_gsd=assumed, min_area_m2=least)
    assert [spot.area_m2 > least for spot in found.spots] == [True]
    assert detector.detect(Raster(pixels), assumed_gsd=assumed, min_area_m2=50 * assumed**2).count == 2


@pytest.mark.parametrize("gsd", [None, 0.15, 0.1])
def test_where_there_is_no_data_there_is_no_place(detector: Detector, gsd: float | None) -> None:
    pixels = np.full((120, 160, 3), 240, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[40:73, 20:37] = True
    found = detector.detect(masked(Raster(pixels, gsd=gsd), mask), min_area_m2=1)
    assert found.probability[mask].mean() > 0.9
    assert not found.probability[~mask].any()
    assert sum(spot.area_m2 for spot in found.spots) == pytest.approx(17 * 33 * found.gsd**2, rel=0.1)


def test_black_that_is_no_data_is_not_what_the_network_sees(tmp_path: Path) -> None:
    inverted = Detector.load(write_inverted_model(tmp_path / "dark.onnx"), threads=1)
    pixels = np.full((120, 160, 3), 240, np.uint8)
    pixels[:, :80] = 0
    assert inverted.detect(Raster(pixels)).count > 0
    found = inverted.detect(masked(Raster(pixels), np.arange(160) >= np.full((120, 1), 80)))
    assert (found.count, found.seen.min()) == (0, 240)


def test_threads_share_a_detector(detector: Detector) -> None:
    scenes = [scene(200, 300, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        maps = list(pool.map(lambda pixels: detector.probability(Raster(pixels)), scenes))
    for pixels, probability in zip(scenes, maps, strict=True):
        np.testing.assert_allclose(probability, bright_probability(pixels), atol=1e-5)


def test_memory_is_that_of_a_tile_not_of_the_image(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    run = Detector._run

    def watched(self: Detector, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        seen.append(tiles.shape)
        return run(self, tiles)

    monkeypatch.setattr(Detector, "_run", watched)
    detector.probability(Raster(scene(600, 600)))
    assert set(seen) == {(1, 128, 128, 3)}


def test_a_detector_knows_its_file(tmp_path: Path) -> None:
    path = write_bright_model(tmp_path / "model.onnx")
    assert Detector.load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
