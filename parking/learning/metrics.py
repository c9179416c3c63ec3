"""Metrics of predictions, for the free class and micro-averaged: sums over a dataset first, ratios last."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import shapely
from numpy.typing import NDArray

from parking.data.polygons import Ring

__all__ = [
    "BINS",
    "Histogram",
    "PixelCounts",
    "best_bin",
    "calibration_error",
    "count_errors",
    "dice",
    "iou",
    "match",
    "matched",
    "precision",
    "recall",
]

BINS = 1000
"""Steps of the probability axis: thresholds are multiples of a thousandth."""

_CALIBRATION_BINS = 20
_PLACE_BINS = 10


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels, or objects, by what was found and what is true."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def of(cls, found: NDArray[np.bool_], true: NDArray[np.bool_]) -> "PixelCounts":
        """Counts of two masks of one shape."""
        tp = int(np.count_nonzero(found & true))
        fp, fn = int(np.count_nonzero(found)) - tp, int(np.count_nonzero(true)) - tp
        return cls(tp, fp, fn, found.size - tp - fp - fn)


def iou(counts: PixelCounts) -> float:
    """Intersection over union; 1 where there is nothing and nothing was found."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn, 1.0)


def dice(counts: PixelCounts) -> float:
    """Twice the intersection over the sum of both areas, which is F1; 1 where there is nothing in either."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, 1.0)


def precision(counts: PixelCounts) -> float:
    """Share of what was found that is true. With nothing found: 1 where there was nothing, else 0."""
    return _ratio(counts.tp, counts.tp + counts.fp, float(counts.fn == 0))


def recall(counts: PixelCounts) -> float:
    """Share of what is true that was found. With nothing there: 1 where nothing was found, else 0."""
    return _ratio(counts.tp, counts.tp + counts.fn, float(counts.fp == 0))


def _ratio(part: float, whole: float, empty: float) -> float:
    return part / whole if whole else empty


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Pixels of a dataset by probability, apart for free ones and others: all that pixel metrics need."""

    free: NDArray[np.int64]
    """(1000,) free pixels with a probability in [k, k + 1) thousandths; the last bin holds 1 too."""

    other: NDArray[np.int64]
    """(1000,) the other pixels."""

    @classmethod
    def empty(cls) -> "Histogram":
        """A histogram of nothing."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))

    @classmethod
    def of(cls, probability: NDArray[np.floating], mask: NDArray[np.bool_]) -> "Histogram":
        """The histogram of a probability map, float (H, W) in [0, 1], and its truth, (H, W)."""
        # float64: in float32 0.7 * 1000 falls under 700, and the pixel under its own threshold.
        scaled = np.floor(probability.astype(np.float64) * BINS + 1e-4)
        bins = np.clip(scaled, 0, BINS - 1).astype(np.int64)
        return cls(np.bincount(bins[mask], minlength=BINS), np.bincount(bins[~mask], minlength=BINS))

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.free + other.free, self.other + other.other)

    def counts(self, threshold: float) -> PixelCounts:
        """Counts when pixels from a threshold on are found; it is rounded to a thousandth."""
        first = round(threshold * BINS)
        tp, fp = int(self.free[first:].sum()), int(self.other[first:].sum())
        return PixelCounts(tp, fp, int(self.free.sum()) - tp, int(self.other.sum()) - fp)

    def best_threshold(self) -> tuple[float, float]:
        """The threshold, between 0.05 and 0.95, with the largest IoU, and that IoU; 0.5 where all are equal."""
        ious = self.iou_curve()
        best = best_bin(ious)
        return best / BINS, float(ious[best])

    def iou_curve(self) -> NDArray[np.float64]:
        """(1000,), the IoU at each threshold."""
        tp, fp = _found_from(self.free), _found_from(self.other)
        union = self.free.sum() + fp
        return np.asarray(np.divide(tp, union, out=np.zeros(BINS), where=union > 0), np.float64)

    def pr_auc(self) -> float:
        """Average precision: the area under the precision-recall curve by steps, without interpolation."""
        tp, fp = _found_from(self.free), _found_from(self.other)
        if not tp[0]:
            return 0.0
        found = tp + fp
        precisions = np.divide(tp, found, out=np.zeros(BINS), where=found > 0)
        return float((precisions * self.free).sum() / tp[0])

    def ece(self) -> float:
        """Expected calibration error over 20 equal bins: how far a probability is from the share of free pixels."""
        centres = (np.arange(BINS) + 0.5) / BINS
        shape = (_CALIBRATION_BINS, BINS // _CALIBRATION_BINS)
        promised = ((self.free + self.other) * centres).reshape(shape).sum(axis=1)
        kept = self.free.reshape(shape).sum(axis=1)
        total = int((self.free + self.other).sum())
        return float(np.abs(promised - kept).sum() / total) if total else 0.0


def best_bin(ious: NDArray[np.float64]) -> int:
    """The number of the threshold, between 0.05 and 0.95, with the largest IoU; the middle one where all are equal."""
    low, high = BINS // 20, BINS - BINS // 20
    ties = low + np.flatnonzero(ious[low : high + 1] == ious[low : high + 1].max())
    # A plateau's middle is the choice that a small shift of the probabilities harms least.
    return int(ties[len(ties) // 2])


def _found_from(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1000,) pixels found at each threshold."""
    return np.cumsum(bins[::-1])[::-1].astype(np.float64)


def match(found: Sequence[Ring], true: Sequence[Ring], iou: float) -> tuple[int, int, int]:
    """Objects found, found wrongly and missed, by one-to-one matching, the best overlaps first.

    Args:
        found: outlines found.
        true: outlines annotated.
        iou: smallest overlap of a match.

    Returns:
        True positives, false positives, false negatives.
    """
    hits = int(matched(found, true, iou).sum())
    return hits, len(found) - hits, len(true) - hits


def matched(found: Sequence[Ring], true: Sequence[Ring], iou: float) -> NDArray[np.bool_]:
    """(N,), which of the outlines found are matched one to one with those annotated, see `match`."""
    ours, theirs = ([shapely.make_valid(shapely.Polygon(ring)) for ring in rings] for rings in (found, true))
    matched_ours: set[int] = set()
    matched_theirs: set[int] = set()
    for _, a, b in sorted(_overlaps(ours, theirs, iou), reverse=True):
        if a not in matched_ours and b not in matched_theirs:
            matched_ours.add(a)
            matched_theirs.add(b)
    return np.isin(np.arange(len(found)), list(matched_ours))


def _overlaps(
    ours: Sequence[shapely.Geometry], theirs: Sequence[shapely.Geometry], least: float
) -> list[tuple[float, int, int]]:
    if not ours or not theirs:
        return []
    pairs = shapely.STRtree(theirs).query(ours, predicate="intersects").T
    overlaps = []
    for a, b in pairs.tolist():
        shared = ours[a].intersection(theirs[b]).area
        union = ours[a].area + theirs[b].area - shared
        if union > 0 and shared / union >= least:
            overlaps.append((shared / union, a, b))
    return overlaps


def calibration_error(promised: Sequence[float], kept: Sequence[bool]) -> float:
    """Expected calibration error of single places over 10 equal bins; 0 where there are none.

    Args:
        promised: confidences, in [0, 1].
        kept: whether each was right.
    """
    bins = np.minimum((np.array(promised, np.float64) * _PLACE_BINS).astype(np.int64), _PLACE_BINS - 1)
    off = np.bincount(bins, np.subtract(promised, kept, dtype=np.float64), _PLACE_BINS)
    return float(np.abs(off).sum() / max(1, len(promised)))


def count_errors(found: Sequence[int], true: Sequence[int]) -> tuple[float, float, float]:
    """How far counts are off, scene by scene.

    Returns:
        Mean absolute error, root mean square error, and bias: (all found - all true) / all true, which is 0 where there
        is nothing and nothing was found, and 1 for every place found where there is none.
    """
    off = np.subtract(found, true, dtype=np.float64)
    if not off.size:
        return 0.0, 0.0, 0.0
    return float(np.abs(off).mean()), float(np.sqrt((off**2).mean())), float(off.sum() / max(1, sum(true)))
