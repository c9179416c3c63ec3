"""Each descriptor says what its name says: it moves when that, and not much else, changes in the image."""

from dataclasses import asdict, fields

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monitoring.descriptors import Descriptors, PredictionDescriptors, describe, describe_prediction
from parking.data.synthetic import generate_scene
from parking.detection.spots import Spot

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scene() -> Pixels:
    return generate_scene(3, 512).raster.pixels


def grey(value: int, height: int = 64, width: int = 64) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def test_a_plain_image_has_its_brightness_and_nothing_else() -> None:
    found = describe(grey(51))
    assert found.luminance == pytest.approx(0.2)
    assert found.haze == pytest.approx(0.2)
    assert found.megapixels == pytest.approx(64 * 64 / 1e6)
    rest = {name: value for name, value in asdict(found).items() if name not in {"luminance", "haze", "megapixels"}}
    assert rest == dict.fromkeys(rest, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (3, 5000), (513, 511)])
def test_any_size_has_finite_descriptors(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = {**asdict(describe(pixels)), **asdict(describe_prediction(pixels[..., 0] / np.float32(255), []))}
    assert set(found) == {column.name for kind in (Descriptors, PredictionDescriptors) for column in fields(kind)}
    assert found.pop("confidence_mean") is None
    assert all(np.isfinite(float(str(value))) for value in found.values())


def test_noise_is_the_standard_deviation_of_the_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 6, (256, 256))
    pixels = np.clip(128 + noise, 0, 255).round().astype(np.uint8)
    assert describe(np.dstack([pixels] * 3)).noise == pytest.approx(6, rel=0.05)


def test_the_noise_of_a_large_image_is_not_averaged_away() -> None:
    noise = np.random.default_rng(0).normal(0, 6, (2048, 2048))
    pixels = np.clip(128 + noise, 0, 255).round().astype(np.uint8)
    assert describe(np.dstack([pixels] * 3)).noise == pytest.approx(6, rel=0.05)


def test_half_white_and_half_black_has_full_contrast() -> None:
    pixels = np.vstack([grey(0), grey(255)])
    found = describe(pixels)
    assert found.contrast == 1
    assert found.luminance_spread == pytest.approx(0.5)


def test_shadow_is_what_is_less_than_half_as_bright_as_the_median() -> None:
    pixels = grey(200)
    pixels[:16] = 50
    assert describe(pixels).shadow_share == pytest.approx(0.25)


def test_greenness_counts_green_and_not_grey() -> None:
    pixels = grey(120)
    pixels[:16] = (70, 130, 60)
    assert describe(pixels).greenness == pytest.approx(0.25)


def test_hue_spread_is_nothing_for_one_colour_and_all_for_opposites() -> None:
    red, cyan = grey(0), grey(0)
    red[..., 0] = 255
    cyan[..., 1:] = 255
    assert describe(red).hue_spread == pytest.approx(0, abs=1e-6)
    assert describe(np.vstack([red, cyan])).hue_spread == pytest.approx(1, abs=1e-6)


def test_a_thin_white_line_counts_and_a_white_roof_does_not() -> None:
    line, roof = grey(80), grey(80)
    line[30:32] = 230
    roof[16:48, 16:48] = 230
    assert describe(line).white_line_share == pytest.approx(2 / 64)
    assert describe(roof).white_line_share == 0


def test_blur_lowers_the_sharpness_and_the_edges(scene: Pixels) -> None:
    before, after = describe(scene), describe(cv2.GaussianBlur(scene, (0, 0), 2).astype(np.uint8))
    assert after.sharpness < 0.7 * before.sharpness
    assert after.edge_density < 0.5 * before.edge_density
    assert after.luminance == pytest.approx(before.luminance, abs=0.01)


def test_a_veil_raises_the_haze_and_lowers_contrast_and_colour(scene: Pixels) -> None:
    before, after = describe(scene), describe((scene * 0.5 + 105).astype(np.uint8))
    assert after.haze > before.haze + 0.2
    assert after.contrast < 0.6 * before.contrast
    assert after.saturation < 0.6 * before.saturation


def test_an_answer_is_described_by_hand_worked_numbers() -> None:
    probability = np.zeros((10, 10), np.float32)
    probability[:2] = 1
    probability[2:3] = 0.5
    spots = [Spot(ring=((0, 0), (1, 0), (1, 1)), confidence=c, area_m2=1.0) for c in (0.4, 0.8)]
    found = describe_prediction(probability, spots)
    assert found.free_share == pytest.approx(0.3)
    assert found.count == 2
    assert found.confidence_mean == pytest.approx(0.6)
    assert found.entropy == pytest.approx(0.1, abs=1e-4)
    assert found.uncertain_share == pytest.approx(0.1)


def test_an_answer_without_places_has_no_confidence() -> None:
    assert describe_prediction(np.zeros((4, 4), np.float32), []).confidence_mean is None
