"""Scenes from the store."""

from pathlib import Path

import pytest

from parking.data import dataset
from parking.data.imagery import Raster, encode_png
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import load_samples
from parking.storage import open_store
from tests.parking.learning.scenes import box, make_sample

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
