"""The gate's verdicts."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.errors import TrainingError
from parking.learning.evaluate import SceneCounts
from parking.learning.gate import LEAST_PLACES, LEAST_SCENES, Verdict, compare


def scenes(*intersections: int, union: int = 100, places: int = 9) -> list[SceneCounts]:
    return [SceneCounts(f"scene-{n}", value, union, places) for n, value in enumerate(intersections)]


def test_a_model_that_is_better_on_every_scene_is_promoted() -> None:
    verdict = compare(scenes(60, 55, 70, 62, 60, 60), scenes(40, 35, 50, 42, 40, 40))
    assert verdict.promote
    assert verdict.delta == pytest.approx(0.2)
    assert 0 < verdict.low <= verdict.delta <= verdict.high


def test_a_model_that_is_better_by_one_lucky_scene_is_not() -> None:
    verdict = compare(scenes(90, 40, 40, 40, 40, 40), scenes(40, 41, 41, 41, 41, 41))
    assert not verdict.promote
    assert verdict.delta > 0
    assert "not better beyond chance" in verdict.reason


def test_a_worse_model_is_refused_as_worse() -> None:
    verdict = compare(scenes(40, 35, 50, 40, 40, 40), scenes(60, 55, 70, 60, 60, 60))
    assert not verdict.promote
    assert "worse" in verdict.reason


def test_a_model_is_not_better_than_itself() -> None:
    verdict = compare(scenes(40, 50, 1, 2, 3, 4), scenes(40, 50, 1, 2, 3, 4))
    assert (verdict.promote, verdict.delta, verdict.low, verdict.high) == (False, 0, 0, 0)


def test_the_first_version_needs_only_to_find_something() -> None:
    assert compare(scenes(1, 0, 0, 0, 0, 0), None).promote
    assert not compare(scenes(0, 0, 0, 0, 0, 0), None).promote


def test_iou_is_that_of_the_dataset_and_not_the_mean_of_scenes() -> None:
    candidate = [SceneCounts("large", 10, 1000, 50), *scenes(2, 2, 2, 2, 2, union=2, places=1)]
    assert compare(candidate, None).delta == pytest.approx(20 / 1010)


def test_scenes_are_paired_by_name_and_not_by_order() -> None:
    candidate, serving = scenes(60, 10, 80, 30, 9, 9), scenes(50, 5, 70, 20, 9, 8)
    assert compare(candidate, serving[::-1]) == compare(candidate, serving)


def test_the_bounds_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    promoted = 0
    for _ in range(200):
        theirs = random.integers(20, 80, 40)
        ours = np.clip(theirs + random.integers(-10, 11, 40), 0, 100)
        promoted += compare(scenes(*ours.tolist()), scenes(*theirs.tolist()), rounds=400).promote
    # Neither is better: one in forty should pass by chance.
    assert promoted <= 14


@pytest.mark.parametrize(("candidate", "serving"), [(scenes(1, 2), scenes(1)), (scenes(1), []), ([], scenes(1))])
def test_versions_that_were_scored_on_other_scenes_cannot_be_compared(
    candidate: list[SceneCounts], serving: list[SceneCounts]
) -> None:
    with pytest.raises(TrainingError, match="test scenes"):
        compare(candidate, serving)


NOTHING = scenes(*[0] * 9, union=0, places=0)
TOO_FEW = {
    "no scene at all": [],
    "one scene": scenes(90),
    "as many as are ahead by chance": scenes(*[90] * (LEAST_SCENES - 1)),
    "few places": scenes(*[90] * 9, places=2),
    "one scene with places among many without": [*scenes(90, places=30), *NOTHING[1:]],
    "no place anywhere": NOTHING,
}


@pytest.mark.parametrize("candidate", TOO_FEW.values(), ids=TOO_FEW)
@pytest.mark.parametrize("is_first", [True, False])
def test_nothing_is_promoted_on_too_few_test_scenes(candidate: list[SceneCounts], *, is_first: bool) -> None:
    serving = None if is_first else [replace(scene, intersection=0) for scene in candidate]
    verdict = compare(candidate, serving)
    assert not verdict.promote
    assert re.search(r"test scenes, .* too few to judge .* --force", verdict.reason)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 100), st.integers(0, 9)), max_size=12), st.booleans())
def test_whatever_is_promoted_was_judged_by_enough(drawn: list[tuple[int, int, int]], is_first: bool) -> None:
    candidate = [SceneCounts(f"{n}", *values) for n, values in enumerate(drawn)]
    serving = None if is_first else [replace(scene, intersection=0) for scene in candidate]
    if compare(candidate, serving, rounds=50).promote:
        assert sum(scene.places > 0 for scene in candidate) >= LEAST_SCENES
        assert sum(scene.places for scene in candidate) >= LEAST_PLACES


def test_the_serving_version_is_not_promoted_again() -> None:
    verdict = Verdict.already_serving(4)
    assert not verdict.promote
    assert "Version 4 serves already" in verdict.reason
