"""The rule that tells free bays from taken ones, and what a scene says was looked for in it."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.data.exports.annotation import Shape
from parking.data.free_places import HIDDEN_SHARE, TAKEN_SHARE, free_stalls, places_of
from parking.data.polygons import Ring
from parking.data.vocabulary import Label

WIDTH = 20.0


def bay(left: float, width: float = WIDTH) -> Ring:
    return ((left, 0.0), (left + width, 0.0), (left + width, 50.0), (left, 50.0))


def shapes(**drawn: Iterable[Ring]) -> list[Shape]:
    labels: dict[str, Label] = {
        "free": "free", "occupied": "occupied", "stall": "stall", "vehicle": "vehicle", "ignore": "ignore",
    }  # fmt: skip
    return [Shape(labels[name], ring) for name, rings in drawn.items() for ring in rings]


@given(share=st.floats(0, 1))
def test_a_bay_is_free_while_little_of_it_lies_under_a_vehicle_or_another_thing(share: float) -> None:
    cover = [bay(0, WIDTH * share)] if share else []
    for limit, taken, hidden in ((TAKEN_SHARE, cover, []), (HIDDEN_SHARE, [], cover)):
        if abs(share - limit) > 1e-6:
            assert bool(free_stalls([bay(0)], taken, hidden)) == (share < limit)


def test_cover_of_two_vehicles_adds_up_and_their_overlap_counts_once() -> None:
    assert free_stalls([bay(0)], [bay(0, 2), bay(18, 2)], []) == []
    assert free_stalls([bay(0)], [bay(0, 2), bay(0, 2)], []) == [bay(0)]


def test_bays_and_vehicles_give_free_places() -> None:
    found = places_of(shapes(stall=[bay(0), bay(20), bay(40)], vehicle=[bay(22, 15)]), {"stall", "vehicle"})
    assert found.free == (bay(0), bay(40))
    assert (len(found.stalls), len(found.vehicles)) == (3, 1)
    assert found.annotated == ("free", "vehicle", "stall")


def test_without_a_bay_nothing_says_where_free_ground_is() -> None:
    found = places_of(shapes(vehicle=[bay(0)]), {"stall", "vehicle", "ignore"})
    assert (found.free, found.annotated) == ((), ("vehicle",))


def test_bays_without_a_vehicle_are_all_free_where_vehicles_were_looked_for() -> None:
    found = places_of(shapes(stall=[bay(0)]), {"stall", "vehicle"})
    assert (found.free, found.annotated) == ((bay(0),), ("free", "vehicle", "stall"))


def test_bays_of_a_set_that_knows_no_vehicles_say_nothing_of_free_places() -> None:
    found = places_of(shapes(stall=[bay(0)]), {"stall"})
    assert (found.free, found.annotated) == ((), ("stall",))


@pytest.mark.parametrize("known", [{"free"}, set[Label]()])
def test_an_image_without_anything_was_looked_at(known: set[Label]) -> None:
    assert places_of([], known).annotated == ("free",)


def test_free_and_occupied_places_are_the_bays() -> None:
    found = places_of(shapes(free=[bay(0)], occupied=[bay(20)]), {"free", "occupied"})
    assert found.free == (bay(0),)
    assert set(found.stalls) == {bay(0), bay(20)}
    assert found.annotated == ("free", "stall")


def test_a_place_drawn_as_free_over_a_bay_is_one_place() -> None:
    found = places_of(shapes(free=[bay(0)], stall=[bay(0), bay(20)]), {"free", "stall", "vehicle"})
    assert found.free == (bay(0), bay(20))


def test_where_every_free_place_was_refused_free_ground_is_unknown() -> None:
    assert places_of(shapes(ignore=[bay(0)], vehicle=[bay(40)]), {"free", "vehicle"}, {"free"}).annotated == (
        "vehicle",
    )
