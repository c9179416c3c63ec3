"""What a contract says of places, learnt from predictions of scenes that the network has not seen."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from parking.data.polygons import Ring
from parking.detection.contract import Contract, InstanceRules
from parking.detection.instances import corners_of
from parking.detection.places import find_outlines
from parking.learning import metrics
from parking.learning.metrics import Histogram
from parking.learning.recipe import Recipe
from parking.learning.scene_scale import PLACE_SIZE_M
from parking.version import code_version

BAYS = InstanceRules(usual_width_m=2.3, min_area_m2=4.0, least_mean=0.3)
"""Before anything was measured."""

VEHICLES = InstanceRules(usual_width_m=1.9, min_area_m2=5.0, least_mean=0.3)
"""Before anything was measured."""

OUTLINED_LENGTH_M = 4.9
"""Length of the usual vehicle as networks outline it, before it was measured: its shadow makes it longer."""

_CORES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_MEANS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_OVERLAP = 0.5
"""IoU from which an outline is the one that was drawn."""

_LARGEST_BIAS = 0.1
"""Largest difference of the number of outlines from that annotated, as a share; checked before the F1."""


def draft_contract(recipe: Recipe, dataset_version: str = "") -> Contract:
    """The contract of a network of which nothing was measured yet, without a golden tile."""
    cores, vehicles = "free_core" in recipe.maps, "vehicle_core" in recipe.maps
    return Contract(
        format=2 if len(recipe.maps) > 1 else 1,
        classes=("free", "vehicle") if vehicles else ("free",),
        maps=recipe.maps,
        gsd=recipe.gsd,
        tile=recipe.tile,
        overlap=recipe.overlap,
        threshold=0.5,
        bays=BAYS.model_copy(update={"inset": recipe.inset}) if cores else None,
        vehicles=VEHICLES.model_copy(update={"inset": recipe.inset}) if vehicles else None,
        vehicle_length_m=OUTLINED_LENGTH_M if vehicles else None,
        usual_size_m=PLACE_SIZE_M,
        dataset_version=dataset_version,
        code_version=code_version(),
        trained=datetime.now(UTC),
        golden_tile="",
        golden_grid=(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One scene's maps of a class, at the contract's resolution, and what was drawn there."""

    kind: str
    """Kind of scene, such as streets and car parks: each counts alike, however many scenes it has."""

    core: NDArray[np.float16]
    ground: NDArray[np.float16]
    rings: tuple[Ring, ...]
    """What was annotated, in pixels of the maps."""

    unknown: tuple[Ring, ...] = ()
    """Ground where nothing is judged."""


def choose_instance_rules(scenes: Sequence[Seen], rules: InstanceRules, gsd: float) -> InstanceRules:
    """The thresholds with the best F1 among those whose count is right; the one that counts best where none is.

    Args:
        scenes: predicted out of fold.
        rules: that the thresholds are put into.
        gsd: metres per pixel of the maps.
    """
    if not any(scene.rings for scene in scenes):
        return rules
    best: tuple[bool, float, InstanceRules] | None = None
    for core in _CORES:
        tried = [
            _matched(scene, rules.model_copy(update={"core_threshold": core, "least_mean": 0.0}), gsd)
            for scene in scenes
        ]
        for mean in _MEANS:
            f1, bias = _scored([(scene.kind, *counts(one, mean)) for scene, one in zip(scenes, tried, strict=True)])
            near = bias <= _LARGEST_BIAS
            chosen = rules.model_copy(update={"core_threshold": core, "least_mean": mean})
            rank = (near, f1 if near else -bias, chosen)
            if best is None or rank[:2] > best[:2]:
                best = rank
    return best[2] if best else rules


@dataclass(frozen=True, slots=True, eq=False)
class MatchedOutlines:
    """The outlines of one scene at one threshold."""

    mean: NDArray[np.float64]
    """(N,), see `Outline`."""

    right: NDArray[np.bool_]
    """(N,), whether each is one that was drawn."""

    true: int
    """Outlines drawn."""


def counts(found: MatchedOutlines, least_mean: float) -> tuple[int, int, int]:
    """Right, found and drawn."""
    kept = found.mean >= least_mean
    return int((found.right & kept).sum()), int(kept.sum()), found.true


def _matched(scene: Seen, rules: InstanceRules, gsd: float) -> MatchedOutlines:
    outlines = find_outlines(scene.core.astype(np.float32), scene.ground.astype(np.float32), rules, gsd)
    corners = corners_of([one.rectangle for one in outlines]).tolist()
    rings = [tuple((x, y) for x, y in ring) for ring in corners]
    judged = [not is_unknown(ring, scene.unknown) for ring in rings]
    outlines = [one for one, kept in zip(outlines, judged, strict=True) if kept]
    rings = [ring for ring, kept in zip(rings, judged, strict=True) if kept]
    right = metrics.matched(rings, scene.rings, _OVERLAP)
    return MatchedOutlines(
        np.array([one.mean for one in outlines], np.float64), np.asarray(right, bool), len(scene.rings)
    )


def is_unknown(ring: Ring, unknown: Sequence[Ring]) -> bool:
    """Whether more than half of an outline lies where nothing is judged."""
    shape = Polygon(ring).buffer(0)
    near = [other for one in unknown if (other := Polygon(one).buffer(0)).intersects(shape)]
    return bool(near) and shapely.union_all(near).intersection(shape).area > shape.area / 2


def _scored(scenes: Sequence[tuple[str, int, int, int]]) -> tuple[float, float]:
    """Mean over the kinds of F1, and the largest share by which the count of a kind is off."""
    sums: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(3, np.int64))
    for kind, *numbers in scenes:
        sums[kind] += np.array(numbers)
    f1 = [2 * right / max(found + true, 1) for right, found, true in sums.values()]
    bias = [abs(found - true) / max(true, 1) for _, found, true in sums.values()]
    return float(np.mean(f1)), float(np.max(bias))


def choose_threshold(histograms: Sequence[tuple[str, Histogram]]) -> float:
    """The threshold with the best IoU of free pixels, mean over the kinds of scenes.

    Args:
        histograms: kind and pixels of each scene, predicted out of fold.
    """
    kinds: dict[str, Histogram] = defaultdict(Histogram.empty)
    for kind, histogram in histograms:
        kinds[kind] += histogram
    if not kinds:
        return 0.5
    curves = [histogram.iou_curve() for histogram in kinds.values()]
    return metrics.best_bin(np.asarray(np.mean(curves, axis=0), np.float64)) / metrics.BINS


__all__ = [
    "BAYS",
    "VEHICLES",
    "MatchedOutlines",
    "Seen",
    "choose_instance_rules",
    "choose_threshold",
    "draft_contract",
    "is_unknown",
]
