"""The rules of a contract, learnt from scenes that the network has not seen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from parking.data.polygons import Ring
from parking.data.snapshot import free_mask
from parking.detection.contract import Contract, InstanceRules
from parking.detection.places import find_outlines
from parking.learning.metrics import Histogram
from parking.learning.rules import (
    BAYS,
    Seen,
    choose_instance_rules,
    choose_threshold,
    draft_contract,
    is_unknown,
)
from tests.parking.learning.scenes import TINY, box, inner

GSD = TINY.gsd
SURE, DOUBTFUL = 0.95, 0.45
RULES = BAYS.model_copy(update={"inset": TINY.inset})
SPOTS = tuple(box(8 + 24 * n, 10 + 40 * row, 14, 28) for row in range(4) for n in range(6))
"""Where places can be: 24 of them."""


def seen(kind: str, true: int, found: Sequence[tuple[int, float]], unknown: tuple[Ring, ...] = ()) -> Seen:
    """A scene with so many places drawn; the spots of these numbers are seen, each as surely as said."""
    core, ground = np.zeros((180, 160), np.float16), np.zeros((180, 160), np.float16)
    for number, sure in found:
        core[free_mask([inner(SPOTS[number])], 180, 160)] = sure
        ground[free_mask([SPOTS[number]], 180, 160)] = sure
    return Seen(kind, core, ground, SPOTS[:true], unknown)


def finds(rules: InstanceRules, sure: float) -> bool:
    """Whether a place that is seen so surely is kept."""
    one = seen("streets", 1, [(0, sure)])
    return bool(find_outlines(one.core.astype(np.float32), one.ground.astype(np.float32), rules, GSD))


def test_doubtful_outlines_are_kept_where_they_are_right() -> None:
    right = seen("streets", 8, [(n, DOUBTFUL if n % 2 else SURE) for n in range(8)])
    assert finds(choose_instance_rules([right], RULES, GSD), DOUBTFUL)


def test_and_dropped_where_they_are_wrong() -> None:
    wrong = seen("streets", 8, [(n, SURE) for n in range(8)] + [(n, DOUBTFUL) for n in range(10, 18)])
    rules = choose_instance_rules([wrong], RULES, GSD)
    assert not finds(rules, DOUBTFUL)
    assert finds(rules, SURE)
    assert (rules.inset, rules.usual_width_m, rules.min_area_m2) == (RULES.inset, 2.3, 4.0)


def test_a_right_count_goes_before_a_better_f1() -> None:
    # Of 10 places 6 are sure; of 12 doubtful outlines the other 4 are right. All: F1 20/28. The sure alone: 12/16 with
    # a count of 6. The medium outlines make the count right with a lower F1: 6 + 4 wrong ones, F1 12/20.
    medium = 0.65
    sure, wrong = [(n, SURE) for n in range(6)], [(n, medium) for n in range(14, 18)]
    doubtful = [(n, DOUBTFUL) for n in (*range(6, 10), *range(18, 24), *range(10, 12))]
    rules = choose_instance_rules([seen("streets", 10, sure + wrong + doubtful)], RULES, GSD)
    assert finds(rules, medium)
    assert not finds(rules, DOUBTFUL)


def test_where_no_count_is_right_the_nearest_one_is_taken() -> None:
    # 10 places; 4 are found surely, and 20 more outlines doubtfully: 4 is off by 6, 24 by 14.
    scene = seen("streets", 10, [(n, SURE) for n in range(4)] + [(n, DOUBTFUL) for n in range(4, 24)])
    assert not finds(choose_instance_rules([scene], RULES, GSD), DOUBTFUL)


def test_each_kind_of_scene_counts_alike() -> None:
    # In one scene of streets the doubtful are right, in three of bays wrong, though few of many: the streets gain more.
    streets = seen("streets", 4, [(n, SURE) for n in range(2)] + [(n, DOUBTFUL) for n in range(2, 4)])
    bays = [seen("bays", 12, [(n, SURE) for n in range(12)] + [(12, DOUBTFUL)])] * 3
    assert finds(choose_instance_rules([streets, *bays], RULES, GSD), DOUBTFUL)
    # As one kind it is the other way round: three false finds against two right ones in 40.
    alike = [replace(streets, kind="bays"), *bays]
    assert not finds(choose_instance_rules(alike, RULES, GSD), DOUBTFUL)


def test_what_is_found_on_unknown_ground_is_not_judged() -> None:
    wrong = [(n, DOUBTFUL) for n in range(12, 24)]
    right = [(n, SURE if n < 6 else DOUBTFUL) for n in range(12)]
    judged = seen("streets", 12, right + wrong)
    spared = seen("streets", 12, right + wrong, unknown=(box(0, 85, 160, 95),))
    assert not finds(choose_instance_rules([judged], RULES, GSD), DOUBTFUL)
    assert finds(choose_instance_rules([spared], RULES, GSD), DOUBTFUL)


def test_false_finds_in_scenes_without_places_count() -> None:
    right = seen("streets", 8, [(n, DOUBTFUL if n > 5 else SURE) for n in range(8)])
    empty = [seen("streets", 0, [(n, DOUBTFUL) for n in range(9)]) for _ in range(3)]
    assert not finds(choose_instance_rules([right, *empty], RULES, GSD), DOUBTFUL)


@pytest.mark.parametrize("scenes", [[], [seen("streets", 0, [])]], ids=["no scene", "nothing drawn"])
def test_without_anything_drawn_the_rules_stay(scenes: list[Seen]) -> None:
    assert choose_instance_rules(scenes, RULES, GSD) == RULES


@pytest.mark.parametrize(("across", "unknown"), [(0.45, False), (0.55, True)])
def test_an_outline_is_unknown_if_more_than_half_of_it_is(across: float, unknown: bool) -> None:
    assert is_unknown(box(0, 0, 100, 10), [box(0, 0, 100 * across, 50)]) == unknown
    halves = [box(0, 0, 100 * across / 2, 50), box(100 * across / 2, 0, 100 * across / 2, 50)]
    assert is_unknown(box(0, 0, 100, 10), halves) == unknown


def histogram(free: float, other: float, pixels: int) -> Histogram:
    """Free pixels with one probability and as many others with another."""
    probability = np.array([[free, other]] * pixels)
    return Histogram.of(probability, np.array([[True, False]] * pixels))


def test_the_threshold_is_the_one_with_the_largest_iou() -> None:
    assert 0.3 < choose_threshold([("streets", histogram(0.6, 0.3, 10))]) <= 0.6
    assert choose_threshold([]) == 0.5


def test_a_kind_with_many_pixels_does_not_choose_the_threshold_alone() -> None:
    few, many = ("streets", histogram(0.8, 0.6, 10)), ("bays", histogram(0.5, 0.4, 100_000))
    # From 0.401 to 0.5 the bays are right and half of the streets' finds: 1 and 1/2; above 0.5 the bays are lost.
    assert 0.4 < choose_threshold([few, many]) <= 0.5
    better = ("streets", histogram(0.8, 0.6, 10))
    lost = ("bays", Histogram(histogram(0.5, 0.4, 100_000).free, histogram(0.5, 0.4, 100_000).other * 5))
    assert choose_threshold([better, lost]) == choose_threshold([few, many])


@pytest.mark.parametrize(
    ("maps", "form", "bays", "vehicles"),
    [
        (("probability",), 1, False, False),
        (("probability", "free_core"), 2, True, False),
        (TINY.maps, 2, True, True),
    ],
    ids=["one map", "places", "vehicles"],
)
def test_a_draft_says_what_the_maps_can_tell(maps: tuple[str, ...], form: int, bays: bool, vehicles: bool) -> None:
    recipe = TINY.model_copy(update={"maps": maps})
    draft = draft_contract(recipe, "0123456789ab")
    assert Contract.model_validate(draft.model_dump()) == draft
    assert (draft.format, draft.maps, draft.gsd, draft.tile) == (form, maps, TINY.gsd, TINY.tile)
    assert (draft.bays is not None, draft.vehicles is not None) == (bays, vehicles)
    assert (draft.vehicle_length_m is not None) == vehicles
    assert draft.bays is None or draft.bays.inset == TINY.inset
