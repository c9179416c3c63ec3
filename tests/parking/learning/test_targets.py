"""What a network is to answer, and what it is not asked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parking.data.polygons import Ring
from parking.data.snapshot import AnnotatedClass
from parking.detection.contract import MapName
from parking.learning.losses import IGNORED
from parking.learning.targets import view_of
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, box, paint

PLACE, CAR = box(10, 10, 14, 28), box(60, 40, 10, 25)
TURNED: Ring = ((30.0, 60.0), (50.0, 80.0), (43.0, 87.0), (23.0, 67.0))
"""A car that stands diagonally, drawn along its sides."""


def maps_of(sample: Sample, inset: float = TINY.inset) -> dict[MapName, NDArray[np.uint8]]:
    labels = view_of(sample, TINY.maps, inset).labels
    return {name: labels[..., number] for number, name in enumerate(TINY.maps)}


def values(labels: NDArray[np.uint8], ring: Ring) -> set[int]:
    """What the labels say within an upright rectangle."""
    (left, top), _, (right, bottom), _ = ring
    return set(np.unique(labels[int(top) : int(bottom), int(left) : int(right)]).tolist())


def elsewhere(labels: NDArray[np.uint8], *rings: Ring) -> set[int]:
    kept = np.ones(labels.shape, bool)
    for (left, top), _, (right, bottom), _ in rings:
        kept[int(top) : int(bottom), int(left) : int(right)] = False
    return set(np.unique(labels[kept]).tolist())


def test_where_all_was_looked_for_all_is_said() -> None:
    maps = maps_of(paint(0, (PLACE,), (CAR,)))
    assert (values(maps["probability"], PLACE), elsewhere(maps["probability"], PLACE)) == ({1}, {0})
    assert (values(maps["vehicle"], CAR), elsewhere(maps["vehicle"], CAR)) == ({1}, {0})
    assert not any((labels == IGNORED).any() for labels in maps.values())


def test_a_core_is_the_outline_without_a_share_of_its_width_on_each_side() -> None:
    maps = maps_of(paint(0, (box(10, 10, 20, 40),), (box(60, 40, 10, 30),)), inset=0.2)
    assert (maps["free_core"] == 1).sum() == 12 * 32
    assert values(maps["free_core"], box(14, 14, 12, 32)) == {1}
    assert values(maps["vehicle_core"], box(62, 42, 6, 26)) == {1}
    assert (maps["vehicle_core"] == 1).sum() == 6 * 26


@pytest.mark.parametrize(
    ("annotated", "rings", "vehicles", "open_maps"),
    [
        (("vehicle",), (), (CAR,), ("probability", "free_core")),
        (("free",), (PLACE,), (), ("vehicle", "vehicle_core")),
    ],
    ids=["vehicles alone", "free places alone"],
)
def test_what_nobody_annotated_is_open_but_where_the_other_class_stands(
    annotated: tuple[AnnotatedClass, ...],
    rings: tuple[Ring, ...],
    vehicles: tuple[Ring, ...],
    open_maps: tuple[MapName],
) -> None:
    maps = maps_of(paint(0, rings, vehicles, annotated=annotated))
    (known,) = (*rings, *vehicles)
    for name in open_maps:
        # Ground under a vehicle is not free, and no vehicle stands on a free place.
        assert (values(maps[name], known), elsewhere(maps[name], known)) == ({0}, {IGNORED}), name
    for name in set(maps) - set(open_maps):
        assert IGNORED not in maps[name], name


def test_nothing_annotated_teaches_nothing() -> None:
    assert all((labels == IGNORED).all() for labels in maps_of(paint(0, annotated=())).values())


def test_ignored_ground_is_open_in_every_map() -> None:
    hole = box(0, 0, 40, 96)
    for labels in maps_of(paint(0, (PLACE,), (CAR,), ignored=(hole,))).values():
        assert values(labels, hole) == {IGNORED}
        assert IGNORED not in elsewhere(labels, hole)


def test_an_outline_round_a_row_leaves_its_cores_open() -> None:
    row, one = box(2, 10, 90, 14), box(10, 50, 14, 28)
    maps = maps_of(paint(0, (row, one, box(40, 50, 14, 28)), annotated=("free",)))
    assert values(maps["probability"], row) == {1}
    assert values(maps["free_core"], row) == {IGNORED}
    assert values(maps["free_core"], one) == {0, 1}


def test_where_bays_were_annotated_a_long_outline_is_one_of_them() -> None:
    long = box(2, 10, 60, 12)
    maps = maps_of(paint(0, (long,), stalls=(long,), annotated=("free", "stall")))
    assert values(maps["free_core"], long) == {0, 1}


def test_a_loose_box_round_a_diagonal_car_says_vehicle_in_its_middle_alone() -> None:
    loose = box(30, 30, 24, 26)
    maps = maps_of(paint(0, (), (loose,)))
    inside: dict[MapName, int] = {"vehicle": 1, "vehicle_core": 1, "probability": 0, "free_core": 0}
    assert {name: int(maps[name][43, 42]) for name in inside} == inside
    assert maps["vehicle"][31, 31] == maps["vehicle_core"][31, 31] == IGNORED
    assert elsewhere(maps["vehicle"], loose) == {0}
    alone = maps_of(paint(0, (), (loose,), annotated=("vehicle",)))
    assert alone["probability"][31, 31] == IGNORED, "the corner of a loose box is no ground under a vehicle"


def test_a_car_that_was_drawn_along_its_sides_in_a_loose_box_of_another_is_known() -> None:
    loose, tight = box(30, 30, 24, 26), box(50, 30, 10, 25)
    maps = maps_of(paint(0, (), (loose, tight)))
    assert values(maps["vehicle"], tight) == {1}


def test_a_turned_outline_is_no_loose_box() -> None:
    maps = maps_of(paint(0, (), (TURNED,)))
    assert IGNORED not in maps["vehicle"]
    assert maps["vehicle"][73, 36] == maps["vehicle_core"][73, 36] == 1


def test_a_scene_is_scaled_with_its_labels_to_the_resolution_that_its_annotation_tells() -> None:
    sample = replace(paint(0, (box(20, 20, 20, 40),), (box(60, 40, 12, 30),), gsd=None), zoom=0.5)
    view = view_of(sample, TINY.maps, TINY.inset)
    assert view.pixels.shape == (48, 48, 3)
    assert view.labels.shape == (48, 48, 4)
    assert values(view.labels[..., 0], box(10, 10, 10, 20)) == {1}
    assert elsewhere(view.labels[..., 0], box(10, 10, 10, 20)) == {0}
    assert view_of(replace(sample, zoom=1e-3), TINY.maps, TINY.inset).labels.shape == (1, 1, 4)


def test_only_the_maps_that_are_asked_for_are_made_in_their_order() -> None:
    sample = paint(0, (PLACE,), (CAR,))
    whole = maps_of(sample)
    some: tuple[MapName, ...] = ("probability", "free_core")
    labels = view_of(sample, some, TINY.inset).labels
    for number, name in enumerate(some):
        np.testing.assert_array_equal(labels[..., number], whole[name])


corner, side = st.integers(0, 60), st.integers(3, 40)
rectangles = st.lists(st.builds(box, corner, corner, side, side), max_size=4).map(tuple)
classes = st.sets(st.sampled_from(["free", "vehicle", "stall"])).map(tuple)


@settings(max_examples=60, deadline=None)
@given(rectangles, rectangles, classes, st.sampled_from([0.5, 1.0, 1.3]))
def test_a_core_lies_in_its_class_and_every_label_is_one_of_three(
    rings: tuple[Ring, ...], vehicles: tuple[Ring, ...], annotated: tuple[AnnotatedClass, ...], zoom: float
) -> None:
    rings = rings if "free" in annotated else ()
    vehicles = vehicles if "vehicle" in annotated else ()
    maps = maps_of(replace(paint(0, rings, vehicles, annotated=annotated, gsd=None), zoom=zoom))
    for labels in maps.values():
        assert set(np.unique(labels)) <= {0, 1, IGNORED}
    assert (maps["probability"][maps["free_core"] == 1] == 1).all()
    assert (maps["vehicle"][maps["vehicle_core"] == 1] == 1).all()
