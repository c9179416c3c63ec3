"""Predictions that were kept come back as they were."""

from pathlib import Path

import numpy as np
import pytest

from parking.learning.oof_cache import LEVELS, coarse, load_maps, save_maps
from parking.learning.scene_prediction import ScenePrediction
from tests.parking.learning.scenes import TINY, answered, box, make_samples, paint, predicted

CARS = tuple(box(8 + 30 * n, 10, 14, 33) for n in range(6))
SAMPLES = [
    paint(0, (box(10, 10, 14, 28),), (box(50, 10, 10, 25),)),
    # Its resolution is estimated: its maps have another size than its pixels.
    paint(1, (box(20, 70, 17, 38),), CARS, size=200, gsd=None),
]


@pytest.fixture(scope="module")
def predictions() -> list[ScenePrediction]:
    return [coarse(prediction) for prediction in answered(SAMPLES)]


def assert_same(one: ScenePrediction, two: ScenePrediction) -> None:
    assert (one.name, one.sample, one.size_px, one.embedding) == (two.name, two.sample, two.size_px, two.embedding)
    assert (one.gsd, one.gsd_source) == (two.gsd, two.gsd_source)
    assert list(one.maps) == list(two.maps)
    assert one.probability.dtype == two.probability.dtype == np.float16
    np.testing.assert_array_equal(one.probability, two.probability)
    for name, values in one.maps.items():
        np.testing.assert_array_equal(values, two.maps[name])


def test_all_maps_and_what_was_said_of_the_scene_come_back(tmp_path: Path, predictions: list[ScenePrediction]) -> None:
    save_maps(tmp_path / "maps.npz", "me", predictions)
    again = load_maps(tmp_path / "maps.npz", "me", SAMPLES)
    assert again is not None
    assert [prediction.gsd_source for prediction in again] == ["file", "vehicles"]
    assert again[1].maps["vehicle"].shape != again[1].mask.shape == again[1].probability.shape
    for one, two in zip(predictions, again, strict=True):
        assert_same(one, two)


def test_a_model_of_one_map_keeps_it_alone(tmp_path: Path) -> None:
    one = coarse(predicted(SAMPLES[0], SAMPLES[0].rings))
    save_maps(tmp_path / "maps.npz", "me", [one])
    again = load_maps(tmp_path / "maps.npz", "me", SAMPLES[:1])
    assert again is not None
    assert again[0].maps == {}
    assert_same(one, again[0])


def test_embedding_and_size_come_back(tmp_path: Path) -> None:
    sample = make_samples(1)[0]
    made = ScenePrediction(
        sample.name, np.zeros((96, 96), np.float16), sample, 21.5, (0.25, -3.0), {}, 0.1234567890123, "texture"
    )
    save_maps(tmp_path / "maps.npz", "me", [made])
    again = load_maps(tmp_path / "maps.npz", "me", [sample])
    assert again is not None
    assert_same(coarse(made), again[0])


def test_keeping_changes_a_probability_by_less_than_a_step(predictions: list[ScenePrediction]) -> None:
    for fine, kept in zip(answered(SAMPLES), predictions, strict=True):
        for name, values in fine.maps.items():
            off = np.abs(values.astype(np.float32) - kept.maps[name].astype(np.float32))
            assert off.max() <= 0.5 / LEVELS + 1e-3


def test_what_is_of_something_else_or_damaged_is_made_again(tmp_path: Path, predictions: list[ScenePrediction]) -> None:
    path = tmp_path / "maps.npz"
    assert load_maps(path, "me", SAMPLES) is None
    save_maps(path, "me", predictions[:1])
    assert load_maps(path, "you", SAMPLES[:1]) is None
    assert load_maps(path, "me", SAMPLES) is None, "a scene is missing"
    path.write_bytes(path.read_bytes()[:500])
    assert load_maps(path, "me", SAMPLES[:1]) is None
    np.savez(path, belongs_to=np.array("me"), map0=np.zeros((4, 4), np.uint8))
    assert load_maps(path, "me", SAMPLES[:1]) is None, "an older form"
    assert TINY.maps == tuple(predictions[0].maps)
