"""Training crops: labels stay with their pixels, and every crop can be made again."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from parking.detection.contract import MapName
from parking.learning.crops import Crops, Window, cut
from parking.learning.losses import IGNORED
from parking.learning.recipe import Recipe
from parking.learning.targets import View, view_of
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, box, make_sample, make_samples, paint

STILL = TINY.model_copy(update={"light": 0.0})


def seen(sample: Sample) -> View:
    return view_of(sample, STILL.maps, STILL.inset)


def telling(sample: Sample) -> Sample:
    """The scene with pixels that are white where a place is free, and black elsewhere."""
    return replace(sample, pixels=np.repeat(sample.mask[..., None].astype(np.uint8) * 255, 3, axis=2))


def test_an_upright_crop_is_the_scene_itself() -> None:
    sample = make_sample(0)
    pixels, labels = cut(seen(sample), Window(x=47.5, y=47.5, turn=0.0, zoom=1.0), 32)
    np.testing.assert_array_equal(pixels, sample.pixels[32:64, 32:64])
    np.testing.assert_array_equal(labels[..., 0], sample.mask[32:64, 32:64])


def test_a_crop_zooms_about_its_centre() -> None:
    sample = make_sample(0, rings=(box(40, 40, 16, 16),))
    _, labels = cut(seen(sample), Window(x=47.5, y=47.5, turn=0.0, zoom=2.0), 64)
    assert (labels[..., 0] == 1).sum() == pytest.approx(32 * 32, rel=0.1)
    assert labels[32, 32, 0] == 1


def test_labels_beyond_the_scene_do_not_count_and_pixels_are_mirrored() -> None:
    sample = paint(0, (box(10, 10, 14, 28),), (box(60, 40, 10, 25),))
    pixels, labels = cut(seen(sample), Window(x=-0.5, y=47.5, turn=0.0, zoom=1.0), 32)
    assert (labels[:, :16] == IGNORED).all()
    assert (labels[:, 16:] != IGNORED).all()
    np.testing.assert_array_equal(pixels[:, 15], pixels[:, 17])


@pytest.mark.parametrize("index", range(20))
def test_labels_move_with_the_pixels(index: int) -> None:
    crops = Crops([telling(sample) for sample in make_samples(2)], STILL.model_copy(update={"steps": 99}))
    pixels, labels = crops[index]
    labels = labels[..., 0]
    free = pixels[..., 0] > 127
    counts = labels != IGNORED
    wrong = (free != (labels == 1)) & counts
    # Only the edges may differ: pixels are interpolated, labels are not.
    assert wrong.sum() <= 0.25 * max(40, free.sum())


def test_a_crop_is_the_same_in_whatever_run_and_order() -> None:
    samples = make_samples(3)
    whole, resumed = Crops(samples, TINY), Crops(samples, TINY, first=2)
    assert len(whole) == 8
    assert len(resumed) == 4
    whole[7]
    for mine, theirs in zip(whole[5], resumed[1], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_crops_differ() -> None:
    crops = Crops(make_samples(3), TINY)
    assert not np.array_equal(crops[0][0], crops[1][0])


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 0.95, 1.0), (0.0, 0.0, 0.5)])
def test_the_share_of_crops_near_a_place_is_the_recipes(share: float, least: float, most: float) -> None:
    samples = [make_sample(0, rings=(box(10, 10, 16, 30),), size=400), make_sample(1, rings=(), size=400)]
    crops = Crops(samples, STILL.model_copy(update={"free_share": share, "steps": 40}))
    with_place = np.mean([(crops[index][1][..., 0] == 1).any() for index in range(80)])
    assert least <= with_place <= most


def test_scenes_without_a_place_can_be_cut() -> None:
    crops = Crops([make_sample(0, rings=())], Recipe.model_validate(STILL.model_dump() | {"free_share": 1.0}))
    assert (crops[0][1] != 1).all()


@pytest.mark.parametrize("light", [0.0, 1e-6, 0.01, 0.05, 0.1, 0.5, 1.0])
def test_any_strength_of_light_keeps_shape_and_type(light: float) -> None:
    crops = Crops(make_samples(2), TINY.model_copy(update={"light": light, "steps": 20}))
    for index in range(30):
        pixels, labels = crops[index]
        assert pixels.shape == (64, 64, 3)
        assert labels.shape == (64, 64, len(TINY.maps))
        assert pixels.dtype == labels.dtype == np.uint8


def test_light_never_swaps_channels() -> None:
    red = np.zeros((96, 96, 3), np.uint8)
    red[..., 0] = 200
    crops = Crops([replace(make_sample(0), pixels=red)], TINY.model_copy(update={"light": 1.0, "steps": 60}))
    for index in range(100):
        mean = crops[index][0].reshape(-1, 3).mean(axis=0)
        assert mean[0] >= max(mean[1], mean[2]) - 1


@pytest.mark.parametrize("maps", [("probability",), ("probability", "free_core"), TINY.maps], ids=len)
def test_a_crop_has_a_label_map_for_each_output_and_they_move_together(maps: tuple[MapName, ...]) -> None:
    sample = paint(0, (box(10, 10, 14, 28),), (box(60, 40, 10, 25),))
    crops = Crops([sample], STILL.model_copy(update={"maps": maps, "steps": 10, "light": 1.0}))
    for index in range(20):
        _, labels = crops[index]
        assert labels.shape == (64, 64, len(maps))
        by_name: dict[str, NDArray[np.bool_]] = {name: labels[..., number] == 1 for number, name in enumerate(maps)}
        for core, ground in (("free_core", "probability"), ("vehicle_core", "vehicle")):
            if core in maps:
                assert not (by_name[core] & ~by_name[ground]).any()


def test_a_scene_is_cut_at_the_resolution_that_its_annotation_tells() -> None:
    sample = replace(make_sample(0, rings=(box(20, 20, 20, 40),)), zoom=0.5)
    scene, _ = Crops([sample], STILL).choose(np.random.default_rng(0))
    assert scene.pixels.shape == (48, 48, 3)
    assert (scene.labels[..., 0] == 1).sum() == 10 * 20


def test_where_nobody_looked_for_free_places_crops_are_cut_near_vehicles() -> None:
    car = box(300, 300, 10, 25)
    sample = paint(0, (), (car,), size=400, annotated=("vehicle",))
    crops = Crops([sample], STILL.model_copy(update={"free_share": 1.0, "steps": 20}))
    assert np.mean([(crops[index][1][..., 1] == 1).any() for index in range(40)]) > 0.9


def test_a_scene_that_says_nothing_of_free_places_is_cut_more_seldom() -> None:
    ring = box(40, 40, 14, 28)
    streets = paint(0, (ring,), (), annotated=("free",))
    traffic = paint(1, (), (ring,), annotated=("vehicle",))
    crops = Crops([streets, traffic], STILL)
    random = np.random.default_rng(0)
    chosen = [(crops.choose(random)[0].labels[..., 1] == IGNORED).any() for _ in range(400)]
    assert np.mean(chosen) == pytest.approx(1 / 1.35, abs=0.07)
