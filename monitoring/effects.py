"""How far a column has moved, and how far it may move by chance alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["ok", "warning", "drift", "insufficient_data"]
Kind = Literal["image", "embedding", "prediction"]

ROUNDS = 200
_CHANCE = 0.99
"""Quantile of what chance does that a score has to pass."""
_FAR = 1.5
"""Times its limit from which one column is enough: a season shows in the greenness and in little else."""
_MOST_ROWS = 500
"""Rows from which chance is so far below any sensible threshold that more only cost time."""


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


def distance(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Wasserstein distance in units of the reference's spread, as Evidently computes it."""
    # Imported late: the service shows verdicts, and has no SciPy.
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(reference, current)) / max(float(reference.std()), 0.001)


def limit(reference: NDArray[np.float64], rows: int, threshold: float, *, rounds: int = ROUNDS) -> float:
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
    size, rows = min(len(reference), _MOST_ROWS), min(rows, _MOST_ROWS)
    by_chance = [distance(rng.choice(reference, size), rng.choice(reference, rows)) for _ in range(rounds)]
    return max(threshold, float(np.quantile(by_chance, _CHANCE)))


def judge(columns: Sequence[ColumnDrift], share: float) -> Verdict:
    """The verdict over the columns of a batch.

    Images that drift are `drift`: when at least `share` of their columns have moved, or one has moved far; so is that
    share of the embedding's columns. Half that share is a `warning`, and so are predictions that drift alone: full car
    parks are news, not yet a fault.

    Args:
        columns: image, embedding and prediction columns.
        share: of the columns of a kind.
    """
    images, looks, predictions = ([c for c in columns if c.kind == kind] for kind in get_args(Kind))
    if _moved(images, share) or _share(looks) >= share:
        return "drift"
    half = max(_share(images), _share(looks)) >= share / 2
    return "warning" if half or _moved(predictions, share) else "ok"


def _moved(columns: Sequence[ColumnDrift], share: float) -> bool:
    return _share(columns) >= share or any(column.excess >= _FAR for column in columns)


def _share(columns: Sequence[ColumnDrift]) -> float:
    return sum(column.drifted for column in columns) / len(columns) if columns else 0.0
