"""The gate: a candidate is promoted only if it is significantly better on the same scenes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parking.errors import TrainingError
from parking.learning.evaluate import SceneCounts

__all__ = ["INSIST", "LEAST_PLACES", "LEAST_SCENES", "Verdict", "compare", "too_few_to_judge"]

_LEVEL = 0.95
LEAST_SCENES = 6
"""Test scenes with places, below which nothing is beyond chance: of two models that are alike, one is ahead in all of
five scenes once in 32 times, more often than the 2.5 % that the gate allows."""

LEAST_PLACES = 20
"""Annotated free places in them: one place more or less should not move a score by more than a twentieth."""

INSIST = "A person may insist: `parking promote NUMBER --force`."


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may be promoted, and why."""

    promote: bool
    reason: str
    """One sentence, kept beside the promotion."""

    delta: float
    """IoU of the candidate less that of the serving version."""

    low: float
    """Lower bound of the difference, at 95 %."""

    high: float
    """Upper bound."""

    candidate_iou: float = 0.0
    """IoU of the candidate, if it was scored."""

    serving_iou: float | None = None
    """IoU of the serving version; None if two were not compared."""

    @classmethod
    def already_serving(cls, number: int) -> "Verdict":
        """The verdict on a candidate that is already in production."""
        return cls(False, f"Version {number} serves already.", 0.0, 0.0, 0.0)

    @classmethod
    def impossible(cls, why: str) -> "Verdict":
        """The verdict where nothing can be compared and a person has to decide; `why` is a sentence."""
        return cls(False, f"There is no comparison: {why} {INSIST}", 0.0, 0.0, 0.0)


def compare(
    candidate: Sequence[SceneCounts], serving: Sequence[SceneCounts] | None, *, rounds: int = 2000, seed: int = 0
) -> Verdict:
    """Compare two models on the same frozen test scenes.

    Scenes are drawn with replacement, the same ones for both models, and the IoU of the drawn dataset is compared each
    time: a paired bootstrap (Efron and Tibshirani, 1993), percentile bounds.

    Args:
        candidate: counts of the candidate on each scene.
        serving: counts of the serving version on the same scenes; None if nothing serves yet.
        rounds: bootstrap samples.
        seed: of the samples; the same scenes give the same verdict.

    Raises:
        TrainingError: the scenes are not the same.
    """
    if serving is not None and sorted(c.image for c in candidate) != sorted(s.image for s in serving):
        raise TrainingError("The two versions were not scored on the same test scenes: score both again.")
    if too_few := too_few_to_judge([counts.places for counts in candidate]):
        return Verdict.impossible(too_few)
    if serving is None:
        return _first(float(_iou(_table(candidate).sum(axis=0))))
    ours, theirs = (_table(sorted(counts, key=lambda c: c.image)) for counts in (candidate, serving))
    draws = np.random.default_rng(seed).integers(len(ours), size=(rounds, len(ours)))
    differences = _iou(ours[draws].sum(axis=1)) - _iou(theirs[draws].sum(axis=1))
    low, high = np.quantile(differences, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return _second(float(_iou(ours.sum(axis=0))), float(_iou(theirs.sum(axis=0))), float(low), float(high), len(ours))


def too_few_to_judge(places: Sequence[int]) -> str:
    """Why the test scenes are too few to judge a version, in a sentence; empty if they suffice.

    Args:
        places: free places annotated in each test scene.
    """
    with_places, total = sum(number > 0 for number in places), sum(places)
    if with_places >= LEAST_SCENES and total >= LEAST_PLACES:
        return ""
    return (
        f"{len(places)} test scenes, {with_places} of them with places, {total} places in all, are too few to judge a "
        f"version by: at least {LEAST_SCENES} scenes with places and {LEAST_PLACES} places are needed. "
        "Annotate more images."
    )


def _first(iou: float) -> Verdict:
    if iou > 0:
        return Verdict(True, f"The first version: nothing serves yet, and its IoU is {iou:.3f}.", iou, iou, iou, iou)
    return Verdict(False, "It finds no free place in any test scene (IoU 0).", iou, iou, iou)


def _second(ours: float, theirs: float, low: float, high: float, scenes: int) -> Verdict:
    delta = ours - theirs
    numbers = (
        f"IoU {ours:.3f} against {theirs:.3f} on {scenes} test scenes, "
        f"difference {delta:+.3f}, 95 % between {low:+.3f} and {high:+.3f}"
    )
    if low > 0:
        return Verdict(True, f"It is better: {numbers}.", delta, low, high, ours, theirs)
    what = "It is worse" if high < 0 else "It is not better beyond chance"
    return Verdict(False, f"{what}: {numbers}.", delta, low, high, ours, theirs)


def _table(counts: Sequence[SceneCounts]) -> NDArray[np.float64]:
    return np.array([(c.intersection, c.union) for c in counts], np.float64)


def _iou(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 2) intersections and unions to (...); 1 where a draw has no place and none was found in it."""
    intersection, union = sums[..., 0], sums[..., 1]
    return np.divide(intersection, union, out=np.ones_like(union), where=union > 0)
