"""Adjoining bays are told apart by their cores, whichever way they lie."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import Polygon

from parking.data.snapshot import free_mask
from parking.detection.contract import InstanceRules
from parking.detection.instances import CoreRules, Rectangle, corners_of, find_rectangles
from parking.detection.places import Outline, aligned, find_outlines, without_overlaps
from parking.detection.spots import never_stop

GSD = 0.18
INSET = 0.24
RULES = CoreRules(threshold=0.5, inset=INSET, min_area_px=4 / GSD**2, usual_width_px=2.3 / GSD)
BAYS = InstanceRules(usual_width_m=2.3, min_area_m2=4.0, inset=INSET)


def row(count: int, angle: float, *, width: float = 14, length: float = 28, centre: float = 200) -> list[Rectangle]:
    """Bays side by side, with nothing between them."""
    across = np.array([-math.sin(angle), math.cos(angle)])
    places = [np.array([centre, centre]) + (n - (count - 1) / 2) * width * across for n in range(count)]
    return [Rectangle(float(x), float(y), length, width, angle) for x, y in places]


def drawn(bays: list[Rectangle], shrink: float, size: int = 400) -> NDArray[np.float32]:
    """A map of rectangles, each drawn inwards by a share of its width."""
    inner = [Polygon(corners_of([bay])[0]).buffer(-shrink * bay.width, join_style="mitre") for bay in bays]
    rings = [tuple((float(x), float(y)) for x, y in shape.exterior.coords[:-1]) for shape in inner]
    return np.asarray(0.95 * free_mask(rings, size, size), np.float32)


def overlap(one: Rectangle, other: Rectangle) -> float:
    a, b = (Polygon(ring) for ring in corners_of([one, other]))
    return float(a.intersection(b).area / a.union(b).area)


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 9),
    angle=st.floats(-math.pi / 2, math.pi / 2),
    width=st.floats(11, 18),
    longer=st.floats(1.6, 2.6),
)
def test_a_row_of_adjoining_bays_is_as_many_bays(count: int, angle: float, width: float, longer: float) -> None:
    bays = row(count, angle, width=width, length=width * longer)
    found = find_rectangles(drawn(bays, INSET), RULES, never_stop)
    assert len(found) == count
    for bay in bays:
        assert max(overlap(bay, other) for other in found) > 0.75


def test_bays_whose_cores_touch_are_told_apart_at_a_higher_threshold() -> None:
    bays = row(4, 0.3)
    touching = np.maximum(drawn(bays, INSET), 0.6 * (drawn(bays, 0.0) > 0)).astype(np.float32)
    assert len(find_rectangles(touching, RULES, never_stop)) == 4


def test_what_is_too_small_for_a_place_is_none() -> None:
    assert find_rectangles(drawn([Rectangle(100, 100, 12, 6, 0.0)], INSET), RULES, never_stop) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_a_map_of_any_size_is_read(shape: tuple[int, int]) -> None:
    for value in (0.0, 1.0):
        find_rectangles(np.full(shape, value, np.float32), RULES, never_stop)


def test_the_outlines_do_not_depend_on_what_is_far_away() -> None:
    """A survey reads a city in blocks, and each must say the same of the ground that they share."""
    bays = row(6, 0.5) + row(3, -0.2, centre=90)
    core, ground = drawn(bays, INSET), drawn(bays, 0.0)
    whole = find_outlines(core, ground, BAYS, GSD)
    part = find_outlines(core[100:330, 100:330].copy(), ground[100:330, 100:330].copy(), BAYS, GSD)
    shifted = [(round(o.rectangle.x + 100, 3), round(o.rectangle.y + 100, 3), round(o.mean, 4)) for o in part]
    inside = [(round(o.rectangle.x, 3), round(o.rectangle.y, 3), round(o.mean, 4)) for o in whole]
    assert set(shifted) == {o for o in inside if o[0] > 120 and o[1] > 120}
    assert len(shifted) == 6


def test_neighbours_in_a_row_are_parallel() -> None:
    bays = [
        Rectangle(one.x, one.y, one.length, one.width, one.angle + off)
        for one, off in zip(row(5, 0.4), (0.0, 0.06, -0.05, 0.08, 0.01), strict=True)
    ]
    turned = aligned(bays)
    spread = np.std([one.angle for one in bays])
    assert np.std([one.angle for one in turned]) < 0.5 * spread


def test_neighbours_across_the_half_turn_are_parallel_too() -> None:
    """89 and -89 degrees are two degrees apart."""
    near = math.pi / 2 - 0.02
    turned = aligned([Rectangle(100, 100, 28, 14, near), Rectangle(114, 100, 28, 14, -near)])
    for one in turned:
        assert abs(abs(one.angle) - math.pi / 2) < 0.03


def test_a_bay_across_a_row_keeps_its_direction() -> None:
    lone = Rectangle(200, 245, 28, 14, 0.3 + math.pi / 2)
    assert aligned([*row(3, 0.3), lone])[-1].angle == pytest.approx(lone.angle)


def test_of_two_outlines_on_one_place_the_surer_is_kept() -> None:
    sure, unsure = Outline(Rectangle(50, 50, 28, 14, 0.0), 0.9), Outline(Rectangle(54, 51, 28, 14, 0.1), 0.6)
    beside = Outline(Rectangle(50, 64, 28, 14, 0.0), 0.5)
    assert {id(one) for one in without_overlaps([unsure, beside, sure])} == {id(sure), id(beside)}
    assert without_overlaps([]) == []


def test_corners_run_round_the_rectangle() -> None:
    one = Rectangle(10, 20, 8, 4, 0.7)
    shape = Polygon(corners_of([one])[0])
    assert shape.is_valid
    assert shape.area == pytest.approx(one.area)
    assert shapely.get_coordinates(shape.centroid)[0].tolist() == pytest.approx([10, 20])
