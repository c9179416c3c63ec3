"""The gate's verdicts."""

import numpy as np
import pytest

from parking.errors import TrainingError
from parking.learning.evaluate import SceneCounts
from parking.learning.gate import Verdict, compare


def scenes(*intersections: int, union: int = 100) -> list[SceneCounts]:
    return [SceneCounts(f"scene-{n}", value, union) for n, value in enumerate(intersections)]


def test_a_model_that_is_better_on_every_scene_is_promoted() -> None:
    verdict = compare(scenes(60, 55, 70, 62), scenes(40, 35, 50, 42))
    assert verdict.promote
    assert verdict.delta == pytest.approx(0.2)
    assert 0 < verdict.low <= verdict.delta <= verdict.high


def test_a_model_that_is_better_by_one_lucky_scene_is_not() -> None:
    verdict = compare(scenes(90, 40, 40, 40, 40), scenes(40, 41, 41, 41, 41))
    assert not verdict.promote
    assert verdict.delta > 0
    assert "not better beyond chance" in verdict.reason


def test_a_worse_model_is_refused_as_worse() -> None:
    verdict = compare(scenes(40, 35, 50), scenes(60, 55, 70))
    assert not verdict.promote
    assert "worse" in verdict.reason


def test_a_model_is_not_better_than_itself() -> None:
    verdict = compare(scenes(40, 50), scenes(40, 50))
    assert (verdict.promote, verdict.delta, verdict.low, verdict.high) == (False, 0, 0, 0)


def test_the_first_version_needs_only_to_find_something() -> None:
    assert compare(scenes(1, 0), None).promote
    assert not compare(scenes(0, 0), None).promote


def test_iou_is_that_of_the_dataset_and_not_the_mean_of_scenes() -> None:
    candidate = [SceneCounts("large", 10, 1000), SceneCounts("small", 10, 10)]
    assert compare(candidate, None).delta == pytest.approx(20 / 1010)


def test_scenes_are_paired_by_name_and_not_by_order() -> None:
    candidate, serving = scenes(60, 10, 80, 30), scenes(50, 5, 70, 20)
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


@pytest.mark.parametrize(("candidate", "serving"), [([], None), (scenes(1, 2), scenes(1)), (scenes(1), [])])
def test_versions_that_cannot_be_compared_are_not(
    candidate: list[SceneCounts], serving: list[SceneCounts] | None
) -> None:
    with pytest.raises(TrainingError, match="test scenes"):
        compare(candidate, serving)


def test_the_serving_version_is_not_promoted_again() -> None:
    verdict = Verdict.already_serving(4)
    assert not verdict.promote
    assert "Version 4 serves already" in verdict.reason
