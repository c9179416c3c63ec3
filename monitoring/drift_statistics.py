"""How far a column has moved from training, how far it may move by chance alone, and the verdict over all columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ROUNDS",
    "ColumnDrift",
    "Kind",
    "StreamingWasserstein",
    "Verdict",
    "distance",
    "drift_limit",
    "judge",
    "shown",
]

Verdict = Literal["ok", "warning", "drift", "insufficient_data"]
Kind = Literal["image", "embedding", "prediction"]

ROUNDS = 200
"""Bootstrap draws for the limit of a column."""
_CHANCE_QUANTILE = 0.99
"""Quantile of the scores that chance alone gives; a score has to pass it."""
_FAR_EXCESS = 1.5
"""Score, in limits, from which one column is enough: a season shows in the greenness and in little else."""
_BOOTSTRAP_ROWS = 500
"""Rows from which chance is so far below any sensible threshold that more only cost time."""
_GRID_STEPS = 512
"""Steps that the reference's range is cut into at least; between them the distance is exact but for a crossing."""


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved from training."""

    name: str
    kind: Kind
    score: float
    """Wasserstein distance in units of the reference's standard deviation."""
    limit: float
    """The score from which it counts as drifted."""
    reference_mean: float
    current_mean: float
    reference_low: float
    """5th percentile at training time."""
    reference_high: float
    """95th percentile at training time."""
    missing: int = 0
    """Rows of the batch without a value."""

    @property
    def drifted(self) -> bool:
        """Whether the column has moved further than the threshold, and than chance explains."""
        return self.score >= self.limit

    @property
    def excess(self) -> float:
        """The score in units of its limit."""
        return self.score / self.limit


def shown(value: float, low: float, high: float) -> str:
    """A value of a column for people: three digits, no exponent, and 0 for what only rounding left.

    Args:
        value: to show.
        low: 5th percentile of the column at training time.
        high: 95th percentile.
    """
    if abs(value) < 1e-6 * (high - low):
        return "0"
    short = f"{value:.3g}"
    if "e" not in short:
        return short
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def distance(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Wasserstein distance in units of the reference's spread, as Evidently computes it."""
    # Imported late: the service shows verdicts, and has no SciPy.
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(reference, current)) / max(float(reference.std()), 0.001)


def drift_limit(reference: NDArray[np.float64], rows: int, threshold: float, *, rounds: int = ROUNDS) -> float:
    """The score from which a batch of so many rows has drifted: the threshold, or what chance does if that is more.

    Chance is measured: batches and references are drawn again and again from the reference itself (a bootstrap). So
    twenty rows must move further than two thousand, and a column with rare large values further than a tame one.

    Args:
        reference: the column at training time, at least one value.
        rows: rows of the batch that is judged.
        threshold: the smallest effect of interest, whatever the number of rows.
        rounds: draws; more make the limit steadier.
    """
    rng = np.random.default_rng(0)
    size, rows = min(len(reference), _BOOTSTRAP_ROWS), min(rows, _BOOTSTRAP_ROWS)
    by_chance = [distance(rng.choice(reference, size), rng.choice(reference, rows)) for _ in range(rounds)]
    return max(threshold, float(np.quantile(by_chance, _CHANCE_QUANTILE)))


def judge(columns: Sequence[ColumnDrift], share: float) -> Verdict:
    """The verdict over the columns of a batch.

    Images that drift are `drift`: when at least `share` of their columns have moved, or one has moved far; so is that
    share of the embedding's columns. Half that share is a `warning`, and so are predictions that drift alone: full car
    parks are news, not yet a fault.

    Args:
        columns: image, embedding and prediction columns.
        share: of the columns of a kind.
    """
    images, embeddings, predictions = ([c for c in columns if c.kind == kind] for kind in get_args(Kind))
    if _has_moved(images, share) or _drifted_share(embeddings) >= share:
        return "drift"
    half = max(_drifted_share(images), _drifted_share(embeddings)) >= share / 2
    return "warning" if half or _has_moved(predictions, share) else "ok"


def _has_moved(columns: Sequence[ColumnDrift], share: float) -> bool:
    return _drifted_share(columns) >= share or any(column.excess >= _FAR_EXCESS for column in columns)


def _drifted_share(columns: Sequence[ColumnDrift]) -> float:
    return sum(column.drifted for column in columns) / len(columns) if columns else 0.0


class StreamingWasserstein:
    """Wasserstein distance of a column from its reference, read in parts, in memory that the rows do not fill.

    It keeps count and sum of the values between the steps of a grid over the reference's range.
    """

    def __init__(self, reference: NDArray[np.float64]) -> None:
        """No values yet.

        Args:
            reference: the column at training time, finite, at least one value.
        """
        ordered = np.sort(reference)
        self._edges = np.unique([*ordered, *np.linspace(ordered[0], ordered[-1], _GRID_STEPS)])
        self._below = np.searchsorted(ordered, self._edges, side="right") / len(ordered)
        self._spread = max(float(reference.std()), 0.001)
        self._counts = np.zeros(len(self._edges) + 1)
        self._sums = np.zeros(len(self._edges) + 1)
        self.rows = 0
        """Rows seen, those without a value, too."""

    def add(self, values: NDArray[np.float64]) -> None:
        """Take values in; those that are no finite number count as rows alone."""
        self.rows += len(values)
        values = values[np.isfinite(values)]
        bins = np.searchsorted(self._edges, values, side="right")
        self._counts += np.bincount(bins, minlength=len(self._counts))
        self._sums += np.bincount(bins, weights=values, minlength=len(self._counts))

    @property
    def known(self) -> int:
        """Values seen."""
        return int(self._counts.sum())

    @property
    def missing(self) -> int:
        """Rows without a value: null, or no finite number."""
        return self.rows - self.known

    @property
    def mean(self) -> float:
        """Of the values; at least one."""
        return float(self._sums.sum() / self.known)

    def distance(self) -> float:
        """Wasserstein distance from the reference in units of its spread, as `distance` computes it.

        That is the area between the two cumulative curves. The reference's is flat between two edges; of the other,
        count and sum between them are all its area needs. Only where both cross inside one step some area is lost,
        less than a thousandth of the range.
        """
        known = self.known
        widths = np.diff(self._edges)
        inner, sums = self._counts[1:-1], self._sums[1:-1]
        before = np.cumsum(self._counts)[:-2]
        area = (before * widths + inner * self._edges[1:] - sums) / known
        outside = self._edges[0] * self._counts[0] - self._sums[0] + self._sums[-1] - self._edges[-1] * self._counts[-1]
        return float(np.abs(area - self._below[:-1] * widths).sum() + outside / known) / self._spread
