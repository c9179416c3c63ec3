"""Scenes from the store."""

from pathlib import Path

import numpy as np
import pytest

from parking.data import dataset
from parking.data.imagery import Raster, encode_png
from parking.learning.recipe import Recipe
from parking.learning.scene_scale import VEHICLE_LENGTH_M, sides
from parking.learning.training_scenes import generated_samples, load_samples
from parking.storage import open_store
from tests.parking.learning.scenes import box, make_sample, paint

SAMPLE = make_sample(0, rings=(box(20, 10, 20, 40),))


def test_a_scene_comes_with_its_mask(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write(SAMPLE.scene.image, encode_png(SAMPLE.pixels))
    told: list[tuple[int, int]] = []
    (sample,) = load_samples(store, [SAMPLE.scene], Recipe(), lambda done, total, what: told.append((done, total)))
    assert (sample.pixels == SAMPLE.pixels).all()
    assert sample.mask.sum() == 20 * 40
    assert sample.mask[10:50, 20:40].all()
    assert told == [(1, 1)]


def test_polygons_follow_a_scene_that_was_resampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "load_raster", lambda *given: Raster(SAMPLE.pixels[::2, ::2]))
    (sample,) = load_samples(open_store(str(tmp_path)), [SAMPLE.scene], Recipe())
    assert sample.rings == (box(10, 5, 10, 20),)
    assert sample.mask.shape == (48, 48)
    assert sample.mask.sum() == 10 * 20


def test_vehicles_and_ignored_ground_follow_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = paint(0, (), (box(20, 10, 20, 40),), ignored=(box(60, 10, 20, 40),)).scene
    monkeypatch.setattr(dataset, "load_raster", lambda *given: Raster(SAMPLE.pixels[::2, ::2]))
    (sample,) = load_samples(open_store(str(tmp_path)), [scene], Recipe())
    assert (sample.vehicles, sample.ignored) == ((box(10, 5, 10, 20),), (box(30, 5, 10, 20),))
    assert sample.judged.sum() == 48 * 48 - 10 * 20


def test_a_scene_says_how_it_is_scaled_where_its_file_does_not_say_its_resolution(tmp_path: Path) -> None:
    store, cars = open_store(str(tmp_path)), tuple(box(10 * n, 10, 9, 23) for n in range(6))
    unsaid, said = (paint(0, (), cars, gsd=gsd).scene for gsd in (None, 0.2))
    store.write(unsaid.image, encode_png(SAMPLE.pixels))
    one, two = load_samples(store, [unsaid, said], Recipe(gsd=0.1))
    assert one.zoom == pytest.approx(VEHICLE_LENGTH_M / 23 / 0.1, rel=1e-3)
    assert one.pixels.shape == (96, 96, 3)
    assert two.zoom == 1


def test_generated_scenes_know_their_vehicles_their_bays_and_their_scale() -> None:
    samples = generated_samples(2, 0.18)
    assert generated_samples(2, 0.18) is samples
    for sample in samples:
        assert set(sample.scene.annotated) == {"free", "vehicle", "stall"}
        assert len(sample.vehicles) > 3
        ours = np.median([sides(ring)[0] for ring in sample.vehicles]) * sample.zoom * 0.18
        assert ours == pytest.approx(VEHICLE_LENGTH_M, abs=0.5)
