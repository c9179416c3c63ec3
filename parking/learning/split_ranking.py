"""Learning which cut of a free shape people would draw, from out-of-fold predictions and their annotations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import minimize

from parking.detection.contract import CueWeights, CutChooser
from parking.detection.split_candidates import CUES, SCALES, chances, cues, cuts_of, surroundings
from parking.detection.spots import SpotRules, free_ground, never_stop
from parking.learning import metrics
from parking.learning.evaluate import ScenePrediction

_OVERLAP = 0.5
"""IoU from which a place is the one that was drawn."""

_LEAST_RIGHT = 30
"""Right places among all that were tried below which nothing can be learnt from them."""

_LARGEST_BIAS = 0.15
"""Share by which the number of places found may differ from that annotated, before anything else is looked at."""

_LIMITS = np.linspace(0.01, 0.3, 30)
_PENALTY = 5.0
"""Of the squared weights of standardised cues: a handful of scenes shall not make a cue all-important."""


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """All places that all cuts of a scene's shapes make."""

    shape: NDArray[np.int64]
    """(N,), number of the shape in the scene."""

    cut: NDArray[np.int64]
    """(N,), number of the cut in `SCALES`."""

    cues: NDArray[np.float64]
    """(N, 10)."""

    right: NDArray[np.bool_]
    """(N,), whether the place is one that was annotated, among all of the same cut."""

    true: int
    """Places annotated."""


def try_cuts(prediction: ScenePrediction, rules: SpotRules) -> Tried:
    """Cut a scene's free shapes in every way, and compare with its annotations; a ragged map has nothing to cut."""
    probability = prediction.probability.astype(np.float32)
    there = surroundings(probability, prediction.sample.pixels, prediction.size_px or rules.usual_size_px)
    rows: list[tuple[int, int, tuple[float, ...]]] = []
    places: list[shapely.Polygon] = []
    shapes, ragged = free_ground(probability, rules)
    for number, shape in enumerate([] if ragged else shapes):
        tried = cuts_of(shape, rules.bay_width_px, rules.bay_length_px, rules.min_area_px, never_stop)
        for cut, found in enumerate(tried):
            rows += [(number, cut, cues(place, shape.area, there)) for place in found]
            places += found
    cut_of = np.array([cut for _, cut, _ in rows], np.int64)
    right = np.zeros(len(rows), bool)
    for cut in range(len(SCALES)):
        here = np.flatnonzero(cut_of == cut)
        rings = [tuple(places[n].exterior.coords[:-1]) for n in here]
        right[here] = metrics.matched(rings, prediction.rings, _OVERLAP)
    seen = np.array([values for *_, values in rows], np.float64).reshape(-1, len(CUES))
    return Tried(np.array([n for n, *_ in rows], np.int64), cut_of, seen, right, len(prediction.rings))


def learn_cuts(scenes: Sequence[Tried], usual_size_m: float) -> CutChooser | None:
    """The chooser that explains which places are right, and the limit with the best F1 whose count is right, too.

    Args:
        scenes: what was tried in scenes that were predicted out of fold.
        usual_size_m: root of the area of a usual place.

    Returns:
        None where too few places are right to learn from.
    """
    seen = np.concatenate([np.empty((0, len(CUES))), *(scene.cues for scene in scenes)])
    right = np.concatenate([np.empty(0, bool), *(scene.right for scene in scenes)])
    if right.sum() < _LEAST_RIGHT or right.all():
        return None
    weights, offset = _logistic(seen, right)
    named = {name: round(float(weight), 4) for name, weight in zip(CUES, weights, strict=True)}
    chooser = CutChooser(
        weights=CueWeights(**named), offset=round(offset, 4), least=0.0, usual_size_m=round(usual_size_m, 3)
    )
    return chooser.model_copy(update={"least": _best_limit(scenes, chooser)})


def _logistic(seen: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weights and offset of a logistic regression with a ridge penalty on standardised cues."""
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    standard = np.column_stack([(seen - middle) / spread, np.ones(len(seen))])
    penalty = np.append(np.full(seen.shape[1], _PENALTY), 0.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = standard @ weights
        slope = standard.T @ (1 / (1 + np.exp(-z)) - right) + 2 * penalty * weights
        return float(np.sum(np.logaddexp(0, z) - right * z) + penalty @ weights**2), slope

    best = minimize(loss, np.zeros(standard.shape[1]), jac=True, method="L-BFGS-B").x
    weights = best[:-1] / spread
    return weights, float(best[-1] - weights @ middle)


def _best_limit(scenes: Sequence[Tried], chooser: CutChooser) -> float:
    """The limit with the best F1 among those whose count is right; the one that counts best where none is."""
    chance = [chances(scene.cues, chooser) for scene in scenes]
    true = sum(scene.true for scene in scenes)
    tallies = []
    for limit in _LIMITS:
        kept = [_kept(scene, p, limit) for scene, p in zip(scenes, chance, strict=True)]
        found = sum(int(k.sum()) for k in kept)
        tallies.append((found, sum(int(scene.right[k].sum()) for scene, k in zip(scenes, kept, strict=True))))
    found, hits = np.array(tallies, np.float64).T
    bias, f1 = np.abs(found - true) / max(true, 1), 2 * hits / np.maximum(found + true, 1)
    near = bias <= _LARGEST_BIAS
    return round(float(_LIMITS[np.argmax(np.where(near, f1, -1)) if near.any() else np.argmin(bias)]), 3)


def _kept(scene: Tried, chance: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """(N,), the places that `parking.detection.split_candidates.best_cut` would keep."""
    good = chance > limit
    worth = np.zeros((int(scene.shape.max(initial=-1)) + 1, len(SCALES)))
    np.add.at(worth, (scene.shape, scene.cut), np.where(good, chance - limit, 0.0))
    return np.asarray(good & (worth.argmax(axis=1)[scene.shape] == scene.cut), bool)
