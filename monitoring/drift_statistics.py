"""Statistics of a column over any number of rows, taken in part by part, in memory that the rows do not fill."""

import numpy as np
from numpy.typing import NDArray

_GRID = 512
"""Steps that the reference's range is cut into at least; between them the distance is exact but for a crossing."""


class Tally:
    """What is kept of one column while a day is read: its sums between the steps of a grid over the reference."""

    def __init__(self, reference: NDArray[np.float64]) -> None:
        """A tally of no values yet.

        Args:
            reference: the column at training time, finite, at least one value.
        """
        ordered = np.sort(reference)
        self._edges = np.unique([*ordered, *np.linspace(ordered[0], ordered[-1], _GRID)])
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
        """Wasserstein distance from the reference in units of its spread, as `monitoring.effects.distance` has it.

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
