"""How large a bay is in the scenes at hand: what single places in a mask are cut by."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.detection.contract import Contract
from parking.detection.spots import SpotRules
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

_LEAST_RINGS = 8
_SLIMMEST, _STOUTEST = 3.2, 1.4
"""Length over width of what can be a single bay; longer is a kerb or a row seen along, stouter a row of two."""

_WIDEST = 1.6
"""Width, in those of a narrow place, from which an outline is a row and not a bay."""


@dataclass(frozen=True, slots=True)
class BaySize:
    """Sides of a bay in metres, at the ground resolution that the recipe takes the scenes to have."""

    width: float = Contract.model_fields["bay_width_m"].default
    length: float = Contract.model_fields["bay_length_m"].default


def estimate_bay(samples: Sequence[Sample], recipe: Recipe) -> BaySize:
    """Median sides of the outlines that can be single bays; the usual size where they are too few to tell.

    Some annotators draw one outline round a row. A row is longer than a bay or, seen from its side, as long in its
    short side as a bay in its long one: outlines of another shape, or much wider than the narrow ones, are left out.
    """
    sides = [_sides(np.array(ring, np.float32)) for sample in samples for ring in sample.rings]
    widths, lengths = np.array(sides, np.float64).reshape(-1, 2).T
    shape = lengths / np.maximum(widths, 1e-6)
    likely = (shape >= _STOUTEST) & (shape <= _SLIMMEST)
    if likely.sum() < _LEAST_RINGS:
        return BaySize()
    single = likely & (widths <= _WIDEST * np.percentile(widths[likely], 25))
    width, length = np.median(widths[single]), np.median(lengths[single])
    return BaySize(round(float(width) * recipe.gsd, 3), round(float(length) * recipe.gsd, 3))


def spot_rules(recipe: Recipe, bay: BaySize, threshold: float) -> SpotRules:
    """The rules that a contract of this recipe and bay will give, before there is a contract."""
    return SpotRules(
        threshold=threshold,
        min_area_px=min_area_m2() / recipe.gsd**2,
        bay_width_px=bay.width / recipe.gsd,
        bay_length_px=bay.length / recipe.gsd,
    )


def min_area_m2() -> float:
    """The smallest place that the contract keeps."""
    return float(Contract.model_fields["min_area_m2"].default)


def _sides(ring: NDArray[np.float32]) -> tuple[float, float]:
    """Short and long side of the smallest rectangle round an outline, in pixels."""
    _, (a, b), _ = cv2.minAreaRect(ring)
    return min(a, b), max(a, b)
