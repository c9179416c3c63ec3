"""The rows of a batch least like the training: the report shows their images."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.schema import values

__all__ = [
    "MAX_OUTLIERS",
    "Outlier",
    "Outliers",
]

MAX_OUTLIERS = 48
"""Rows that are kept: more than are shown, for not every one has an image."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """One row, and the column in which it differs most from the training."""

    answer_id: str
    request_id: str
    time: dt.datetime
    """Of the answer, UTC."""
    distance: float
    """Root mean square of its z-scores over the columns: distance from the training's mean in standard deviations."""
    column: str
    """The column with the largest z-score."""
    value: float
    """Of that column."""


class Outliers:
    """The rows with the largest distance, of however many are read."""

    def __init__(self, trained: Mapping[str, NDArray[np.float64]]) -> None:
        """No rows yet.

        Args:
            trained: the columns at training time, finite, at least one value each.
        """
        self._names = list(trained)
        self._means = np.array([column.mean() for column in trained.values()])
        self._deviations = np.array([max(column.std(), 0.001) for column in trained.values()])
        self.rows: list[Outlier] = []
        """In falling order of distance."""

    def add(self, rows: pa.Table) -> None:
        """Let more rows take part; those without an id have no image and do not."""
        if not (rows.num_rows and self._names):
            return
        scores = np.abs(np.stack([values(rows, name) for name in self._names], axis=1) - self._means) / self._deviations
        scores[~np.isfinite(scores)] = np.nan
        known = np.maximum(np.isfinite(scores).sum(axis=1), 1)
        distances = np.sqrt(np.nansum(scores**2, axis=1) / known)
        smallest = self.rows[-1].distance if len(self.rows) == MAX_OUTLIERS else 0.0
        order = np.argsort(-distances, kind="stable")[:MAX_OUTLIERS]
        found = [
            self._outlier(rows.slice(at, 1), float(distances[at]), scores[at])
            for at in order
            if distances[at] > smallest
        ]
        named = (row for row in self.rows + found if row.answer_id)
        self.rows = sorted(named, key=lambda row: -row.distance)[:MAX_OUTLIERS]

    def _outlier(self, row: pa.Table, distance: float, scores: NDArray[np.float64]) -> Outlier:
        column = self._names[int(np.nanargmax(scores))]
        (cells,) = row.select(["answer_id", "request_id", "time", column]).to_pylist()
        request_id = cells["request_id"] or ""
        # Rows of an older version have one id, the request's.
        return Outlier(
            cells["answer_id"] or request_id, request_id, cells["time"], distance, column, float(cells[column])
        )
