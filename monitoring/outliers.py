"""The rows of a batch that lie furthest from the training: whose images a person should see first."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.schema import values

KEPT = 48
"""Rows to remember: more than are shown, for not every one has an image."""


@dataclass(frozen=True, slots=True)
class FarRow:
    """One image, and in what it differs most from the training."""

    request_id: str
    time: dt.datetime
    """Of the answer, UTC."""
    distance: float
    """Root mean square, over the columns, of the distance from the training's mean in units of its spread."""
    column: str
    """The column that is furthest away."""
    value: float
    """Of that column."""


class Furthest:
    """Remembers the furthest rows of however many are read."""

    def __init__(self, trained: Mapping[str, NDArray[np.float64]]) -> None:
        """No rows yet.

        Args:
            trained: the columns at training time, finite, at least one value each.
        """
        self._names = list(trained)
        self._means = np.array([column.mean() for column in trained.values()])
        self._spreads = np.array([max(column.std(), 0.001) for column in trained.values()])
        self.rows: list[FarRow] = []
        """The furthest first."""

    def add(self, rows: pa.Table) -> None:
        """Let more rows take part; those without a request id have no image and do not."""
        if not (rows.num_rows and self._names):
            return
        away = np.abs(np.stack([values(rows, name) for name in self._names], axis=1) - self._means) / self._spreads
        away[~np.isfinite(away)] = np.nan
        known = np.maximum(np.isfinite(away).sum(axis=1), 1)
        distances = np.sqrt(np.nansum(away**2, axis=1) / known)
        bar = self.rows[-1].distance if len(self.rows) == KEPT else 0.0
        far = [at for at in np.argsort(-distances, kind="stable")[:KEPT] if distances[at] > bar]
        found = self.rows + [self._row(rows.slice(at, 1), float(distances[at]), away[at]) for at in far]
        self.rows = sorted((row for row in found if row.request_id), key=lambda row: -row.distance)[:KEPT]

    def _row(self, row: pa.Table, distance: float, away: NDArray[np.float64]) -> FarRow:
        column = self._names[int(np.nanargmax(away))]
        (told,) = row.select(["request_id", "time", column]).to_pylist()
        return FarRow(told["request_id"] or "", told["time"], distance, column, float(told[column]))
