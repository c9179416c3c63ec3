"""Adjoining places merge in a mask; they are counted as a person would."""

import math
import time
from dataclasses import replace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely import Polygon, box

from parking.detection.contract import PlaceCalibration
from parking.detection.spots import Spot, SpotRules, find_spots, rules_for
from tests.doubles import contract
from tests.parking.detection.drawing import (
    CENTRE,
    GSD,
    LENGTH,
    RULES,
    WIDTH,
    Map,
    angled_row,
    block,
    empty,
    ragged,
)

NO_PIXELS = np.zeros((1, 1, 3), np.uint8)
"""Rules without a choice of cuts never look at them."""


def found(probability: Map) -> int:
    return len(find_spots(probability, NO_PIXELS, RULES, GSD))


@pytest.mark.parametrize("degrees", [0, 17, 45, 73])
@pytest.mark.parametrize("bays", [1, 2, 3, 5, 8])
def test_bays_side_by_side(bays: int, degrees: float) -> None:
    probability = empty()
    block(probability, CENTRE, bays * WIDTH, LENGTH, degrees)
    assert found(probability) == bays
    assert found(ragged(probability, seed=bays)) == bays


@pytest.mark.parametrize("degrees", [0, 30, 90])
@pytest.mark.parametrize("bays", [1, 2, 4, 8])
def test_bays_one_behind_the_other_along_a_kerb(bays: int, degrees: float) -> None:
    probability = empty()
    block(probability, CENTRE, bays * LENGTH, WIDTH, degrees)
    assert found(probability) == bays
    assert found(ragged(probability, seed=bays)) == bays


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("bays", [1, 2, 3, 5, 8])
def test_two_rows_that_share_their_back_edge(bays: int, degrees: float) -> None:
    probability = empty()
    block(probability, CENTRE, bays * WIDTH, 2 * LENGTH, degrees)
    assert found(probability) == 2 * bays
    assert found(ragged(probability, seed=bays)) == 2 * bays


@pytest.mark.parametrize("sawtooth", [False, True])
@pytest.mark.parametrize("degrees", [0, 25])
@pytest.mark.parametrize("slant", [45, 60, 75])
@pytest.mark.parametrize("bays", [1, 2, 3, 5, 8])
def test_bays_at_an_angle_to_their_row(bays: int, slant: float, degrees: float, sawtooth: bool) -> None:
    probability = angled_row(bays, slant, degrees, sawtooth=sawtooth)
    assert found(probability) == bays
    assert abs(found(ragged(probability, seed=1)) - bays) <= max(1, bays // 4)


def l_shape() -> Map:
    probability = empty()
    block(probability, (300, 100), 8 * WIDTH, LENGTH)
    block(probability, (300 - 4 * WIDTH + LENGTH / 2, 100 + LENGTH / 2 + 2.5 * WIDTH), LENGTH, 5 * WIDTH)
    return probability


def t_shape() -> Map:
    probability = empty()
    block(probability, (300, 100), 8 * WIDTH, LENGTH)
    block(probability, (300, 100 + LENGTH / 2 + 2.5 * WIDTH), LENGTH, 5 * WIDTH)
    return probability


def u_shape() -> Map:
    probability = l_shape()
    block(probability, (300 + 4 * WIDTH - LENGTH / 2, 100 + LENGTH / 2 + 2.5 * WIDTH), LENGTH, 5 * WIDTH)
    return probability


def step() -> Map:
    probability = empty()
    block(probability, (300, 100), 8 * WIDTH, LENGTH)
    block(probability, (300 - 2 * WIDTH, 100 + LENGTH), 4 * WIDTH, LENGTH)
    return probability


def side_by_side_then_in_line() -> Map:
    probability = empty()
    block(probability, (250, 100), 5 * WIDTH, LENGTH)
    block(probability, (250 + 2.5 * WIDTH + 1.5 * LENGTH, 100), 3 * LENGTH, WIDTH)
    return probability


def round_an_island() -> Map:
    probability = empty()
    for y in (80, 80 + LENGTH + 4 * WIDTH):
        block(probability, (300, y), 10 * WIDTH, LENGTH)
    for x in (300 - 5 * WIDTH + LENGTH / 2, 300 + 5 * WIDTH - LENGTH / 2):
        block(probability, (x, 80 + LENGTH / 2 + 2 * WIDTH), LENGTH, 4 * WIDTH)
    return probability


def along_a_bend() -> Map:
    probability, radius = empty(), LENGTH / math.radians(12)
    for index in range(8):
        angle = math.radians(200 + 12 * index)
        centre = (350 + radius * math.cos(angle), 300 + radius * math.sin(angle))
        block(probability, centre, 1.03 * LENGTH, WIDTH, -(math.degrees(angle) + 90))
    return probability


SHAPES = [
    (l_shape, 13),
    (t_shape, 13),
    (u_shape, 18),
    (step, 12),
    (side_by_side_then_in_line, 8),
    (round_an_island, 28),
    (along_a_bend, 8),
]


@pytest.mark.parametrize(("draw", "places"), SHAPES, ids=[draw.__name__ for draw, _ in SHAPES])
def test_rows_that_touch_are_taken_apart(draw: object, places: int) -> None:
    probability: Map = draw()  # type: ignore[operator]
    assert found(probability) == places
    assert abs(found(ragged(probability, seed=0)) - places) <= max(1, places // 12)


def rings_of(probability: Map) -> list[Polygon]:
    return [Polygon(spot.ring) for spot in find_spots(probability, NO_PIXELS, RULES, GSD)]


@pytest.mark.parametrize("draw", [draw for draw, _ in SHAPES])
def test_rings_are_valid_apart_and_inside_the_image(draw: object) -> None:
    probability = ragged(draw(), seed=2)[60:140, 220:380]  # type: ignore[operator]
    rings = rings_of(probability)
    assert rings
    image = box(0, 0, probability.shape[1], probability.shape[0])
    for index, ring in enumerate(rings):
        assert ring.is_valid
        assert ring.exterior.is_ccw
        assert image.contains(ring) or image.covers(ring.buffer(-1e-6))
        assert all(ring.intersection(other).area < 1 for other in rings[index + 1 :])


def test_a_place_is_where_it_was_drawn() -> None:
    probability = empty()
    probability[100:133, 200:217] = 0.8
    (spot,) = find_spots(probability, NO_PIXELS, RULES, GSD)
    assert Polygon(spot.ring).bounds == (200, 100, 217, 133)
    assert spot.area_m2 == pytest.approx(33 * 17 * GSD**2, abs=0.01)
    assert spot.confidence == pytest.approx(0.8, abs=0.01)


def test_a_place_is_as_sure_as_such_places_proved_to_be() -> None:
    probability = empty()
    probability[100:133, 200:217] = 0.8
    (spot,) = find_spots(
        probability, NO_PIXELS, replace(RULES, calibration=PlaceCalibration(slope=0.5, offset=-0.5)), GSD
    )
    assert spot.confidence == pytest.approx(1 / (1 + math.exp(0.5 - 0.5 * math.log(4))), abs=0.01)


def test_places_at_every_border_and_in_one_pixel() -> None:
    tiny = SpotRules(threshold=0.5, min_area_px=0, bay_width_px=WIDTH, bay_length_px=LENGTH)
    (spot,) = find_spots(np.ones((1, 1), np.float32), NO_PIXELS, tiny, GSD)
    assert Polygon(spot.ring).area == 1
    assert spot.confidence > 0.999
    whole = np.ones((33, 17), np.float32)
    (spot,) = find_spots(whole, NO_PIXELS, RULES, GSD)
    assert Polygon(spot.ring).equals(box(0, 0, 17, 33))


def test_specks_and_threads_are_no_places() -> None:
    probability = empty()
    probability[50:55, 50:55] = 1.0
    probability[100:102, 100:600] = 1.0
    assert found(probability) == 0


def test_a_thin_bridge_does_not_tie_two_rows_together() -> None:
    probability = empty()
    block(probability, (200, 200), 3 * WIDTH, LENGTH)
    block(probability, (500, 200), 4 * WIDTH, LENGTH)
    probability[199:201, 200:500] = 0.9
    assert found(probability) == 7


def test_a_higher_threshold_gives_fewer_places() -> None:
    probability = empty()
    probability[100:133, 200:217] = 0.8
    probability[100:133, 300:317] = 0.6
    strict = SpotRules(0.7, RULES.min_area_px, WIDTH, LENGTH)
    assert found(probability) == 2
    assert len(find_spots(probability, NO_PIXELS, strict, GSD)) == 1


def test_nothing_free_gives_no_places() -> None:
    assert find_spots(empty(), NO_PIXELS, RULES, GSD) == ()


def test_places_come_from_the_top_downwards() -> None:
    spots: tuple[Spot, ...] = find_spots(l_shape(), NO_PIXELS, RULES, GSD)
    tops = [min(y for _, y in spot.ring) for spot in spots]
    assert tops == sorted(tops)


def test_two_hundred_places_in_a_large_map_take_less_than_half_a_second() -> None:
    probability = empty(2000, 2000)
    for column in range(5):
        for row in range(8):
            block_at = (150 + 380 * column, 130 + 240 * row)
            patch = empty(240, 240)
            block(patch, (120, 120), 5 * WIDTH, LENGTH, 23 * (row + column))
            x, y = block_at
            probability[y - 120 : y + 120, x - 120 : x + 120] = patch
    probability = ragged(probability, seed=0)
    started = time.process_time()
    places = found(probability)
    elapsed = time.process_time() - started
    assert places == pytest.approx(200, abs=4)
    assert elapsed < 0.5


def test_rules_scale_with_the_ground_resolution() -> None:
    rules = rules_for(contract(threshold=0.4, min_area_m2=4.0), gsd=0.5)
    assert rules == SpotRules(threshold=0.4, min_area_px=16, bay_width_px=5, bay_length_px=10)


def test_a_ragged_map_is_not_searched_for_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).random((600, 600)).astype(np.float32)
    ragged = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.float32)
    searched = Mock(side_effect=AssertionError("no row is worth looking for"))
    monkeypatch.setattr("parking.detection.spots.split_to_rows", searched)
    assert find_spots(ragged, NO_PIXELS, SpotRules(float(np.median(ragged)), 20, 8.0, 16.0), 0.3)
    searched.assert_not_called()


def noise(side: int, level: float) -> NDArray[np.float32]:
    """Rags: above 0.5 in a share of the pixels that grows as the level falls."""
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((side, side)).astype(np.float32), (0, 0), 6)
    return np.asarray(0.5 + (smooth - smooth.mean()) / smooth.std() - level, np.float32)


def test_a_map_free_nearly_everywhere_is_ragged_by_its_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = Mock(side_effect=AssertionError("no row is worth looking for"))
    monkeypatch.setattr("parking.detection.spots.split_to_rows", searched)
    assert find_spots(noise(600, -0.7), NO_PIXELS, SpotRules(0.5, 20, 8.0, 16.0), 0.3)
    searched.assert_not_called()


def test_a_shape_of_many_rows_is_cut_to_the_same_bays_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = SpotRules(0.5, 20, 8.0, 16.0)
    by_rows = find_spots(noise(400, -0.5), NO_PIXELS, rules, 0.3)
    monkeypatch.setattr("parking.detection.bays.MOST_ROWS", 1000)
    by_cells = find_spots(noise(400, -0.5), NO_PIXELS, rules, 0.3)
    assert len(by_rows) == len(by_cells) > 100
    assert sum(spot.area_m2 for spot in by_rows) == pytest.approx(sum(spot.area_m2 for spot in by_cells), rel=1e-3)
