"""Of several cuts of a free shape, the one is taken that looks most like what people draw."""

from dataclasses import replace

import numpy as np
import pytest
from shapely import box

from parking.detection.contract import CueWeights, CutChooser
from parking.detection.split_candidates import CUES, best_cut, chances, cues, cuts_of, surroundings
from parking.detection.spots import SpotRules, find_spots, never_stop

SIZE_MATTERS = CutChooser(
    weights=CueWeights(**{**dict.fromkeys(CUES, 0.0), "mean": 4.0, "off": -8.0}),
    offset=-1.0,
    least=0.2,
    usual_size_m=4.0,
)
RULES = SpotRules(0.5, min_area_px=100, bay_width_px=20, bay_length_px=40, cuts=SIZE_MATTERS, usual_size_px=28.3)


def row_of(places: int, sure: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    probability = np.zeros((120, 300), np.float32)
    probability[40:80, 30 : 30 + 20 * places] = sure
    return probability, np.full((120, 300, 3), 90, np.uint8)


@pytest.mark.parametrize(("size_px", "count"), [(28.3, 8), (80.0, 1), (None, 8)])
def test_the_size_expected_in_the_scene_decides(size_px: float | None, count: int) -> None:
    spots = find_spots(*row_of(8), RULES, 0.1, size_px=size_px)
    assert len(spots) == count
    assert sum(spot.area_m2 for spot in spots) == pytest.approx(8 * 20 * 40 / 100, rel=0.05)


def test_without_a_chooser_the_bay_decides() -> None:
    assert len(find_spots(*row_of(8), replace(RULES, cuts=None), 0.1, size_px=80.0)) == 8


def test_places_less_likely_than_the_limit_are_left_out() -> None:
    strict = replace(RULES, cuts=SIZE_MATTERS.model_copy(update={"least": 0.9}))
    assert len(find_spots(*row_of(3, sure=0.9), RULES, 0.1)) == 3
    assert find_spots(*row_of(3, sure=0.55), strict, 0.1) == ()


def test_the_cues_are_what_they_are_called() -> None:
    probability, pixels = row_of(2, sure=0.8)
    pixels[40:80, 30:70] = 200
    place = box(30, 40, 50, 80)
    there = surroundings(probability, pixels, size_px=np.sqrt(800) / 2)
    seen = dict(zip(CUES, cues(place, 1600.0, there), strict=True))
    assert seen["mean"] == pytest.approx(0.8, abs=0.02)
    assert seen["low"] == pytest.approx(0.8, abs=0.02)
    assert 0.1 < seen["around"] < 0.4  # the second place of the two is outside, and free
    assert seen["fill"] == pytest.approx(1, abs=0.1)
    assert seen["parts"] == pytest.approx(np.log(2), abs=0.1)
    assert seen["larger"] == pytest.approx(np.log(2), abs=0.1)
    assert seen["off"] == seen["larger"]
    assert seen["long"] == pytest.approx(np.log(2), abs=0.1)
    assert seen["edge"] > 5 * seen["inside"]


def test_the_gradient_has_no_seams_where_it_is_computed_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 40, 3), dtype=np.uint8)
    nothing = np.zeros((300, 40), np.float32)
    whole = surroundings(nothing, pixels, 1.0).gradient
    monkeypatch.setattr("parking.detection.split_candidates._STRIP", 64)
    np.testing.assert_array_equal(surroundings(nothing, pixels, 1.0).gradient, whole)


def test_a_place_at_the_rim_and_one_of_a_pixel_have_cues_too() -> None:
    probability, pixels = row_of(2)
    there = surroundings(probability, pixels, 28.0)
    for place in (box(0, 0, 20, 40), box(299, 119, 300, 120), box(10.2, 10.2, 10.4, 10.4)):
        assert np.isfinite(cues(place, place.area, there)).all()


def test_a_cut_that_leaves_nothing_is_worth_nothing() -> None:
    shape = box(30, 40, 190, 80)
    there = surroundings(*row_of(8), 28.3)
    tried = list(cuts_of(shape, 20, 40, 10_000, never_stop))
    assert not any(tried)
    assert best_cut(tried, shape.area, there, SIZE_MATTERS) == []


def test_chances_stay_finite_however_odd_the_cues() -> None:
    assert np.isfinite(chances(np.full((1, len(CUES)), 1e9), SIZE_MATTERS)).all()
