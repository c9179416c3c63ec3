"""The ground resolution of an annotated scene, by what was drawn in it."""

import math

import numpy as np
import pytest

from parking.data.polygons import Ring
from parking.detection.scale import USUAL_GSD
from parking.learning.scene_scale import (
    PLACE_SIZE_M,
    VEHICLE_LENGTH_M,
    annotated_gsd,
    is_loose_box,
    sides,
    single_places,
)
from tests.parking.learning.scenes import box, paint


def turned(ring: Ring, degrees: float) -> Ring:
    points, angle = np.array(ring), math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    middle = points.mean(axis=0)
    return tuple((float(x), float(y)) for x, y in (points - middle) @ turn + middle)


def place(gsd: float, x: float = 20) -> Ring:
    return box(x, 20, 2.3 / gsd, PLACE_SIZE_M**2 / 2.3 / gsd)


def cars(gsd: float, number: int) -> tuple[Ring, ...]:
    return tuple(box(5 + n, 20, 1.9 / gsd, VEHICLE_LENGTH_M / gsd) for n in range(number))


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 133])
def test_sides_do_not_depend_on_the_direction(degrees: float) -> None:
    assert sides(turned(box(10, 10, 8, 20), degrees)) == pytest.approx((20, 8), rel=1e-3)


@pytest.mark.parametrize("gsd", [0.05, 0.11, 0.18, 0.4])
def test_vehicles_tell_the_resolution(gsd: float) -> None:
    long = (box(0, 0, 3 / gsd, 12 / gsd),)
    scene = paint(0, (place(1.0),), (*cars(gsd, 6), *long), size=400, gsd=None).scene
    assert annotated_gsd(scene) == pytest.approx(gsd, rel=1e-3)


def test_a_loose_box_tells_no_length() -> None:
    gsd = 0.15
    loose = tuple(box(n, n, 30, 31) for n in range(9))
    assert annotated_gsd(paint(0, (), (*cars(gsd, 5), *loose), gsd=None).scene) == pytest.approx(gsd, rel=1e-3)


@pytest.mark.parametrize("gsd", [0.08, 0.25])
def test_places_tell_it_where_vehicles_are_few_the_more_the_surer(gsd: float) -> None:
    def by_places(number: int) -> float:
        scene = paint(0, tuple(place(gsd, 5 + n) for n in range(number)), cars(1.0, 4), gsd=None).scene
        return abs(math.log(annotated_gsd(scene) / gsd))

    errors = [by_places(number) for number in (1, 3, 10, 40)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < abs(math.log(USUAL_GSD / gsd))
    assert errors[-1] < 0.06


def test_a_scene_that_shows_nothing_is_taken_to_be_usual() -> None:
    assert annotated_gsd(paint(0, gsd=None).scene) == USUAL_GSD
    assert annotated_gsd(paint(0, (box(0, 10, 90, 12),), gsd=None).scene) == USUAL_GSD


def test_rows_are_no_single_places_and_tell_no_size() -> None:
    ones = tuple(box(5 + 20 * n, 10, 14, 28) for n in range(4))
    row, kerb = box(5, 45, 40, 28), box(5, 80, 80, 10)
    scene = paint(0, (*ones, row, kerb), gsd=None).scene
    assert single_places(scene) == [True] * 4 + [False] * 2
    assert annotated_gsd(scene) == pytest.approx(annotated_gsd(paint(0, ones, gsd=None).scene))


def test_where_bays_were_annotated_every_outline_is_one() -> None:
    rings = (box(5, 10, 14, 28), box(5, 80, 80, 10))
    assert single_places(paint(0, rings, annotated=("free", "stall")).scene) == [True, True]


def test_a_scene_without_places_has_no_single_ones() -> None:
    assert single_places(paint(0).scene) == []


@pytest.mark.parametrize(
    ("ring", "loose"),
    [
        (box(0, 0, 20, 20), True),
        (box(0, 0, 32, 20), True),
        (box(0, 0, 34, 20), False),
        (turned(box(10, 10, 20, 20), 30), False),
        (((0.0, 0.0), (20.0, 0.0), (20.0, 10.0), (20.0, 20.0), (0.0, 20.0)), False),
        (((0.0, 0.0), (20.0, 0.0), (0.0, 20.0)), False),
    ],
    ids=["square", "squat", "long", "turned", "five points", "triangle"],
)
def test_an_upright_box_that_is_squat_may_be_loose(ring: Ring, loose: bool) -> None:
    assert is_loose_box(ring) == loose
