"""Reservoir sampling: a few rows drawn at random from however many are read."""

import numpy as np
import pyarrow as pa

from monitoring.schema import LOG_SCHEMA

__all__ = [
    "MAX_ROWS",
    "Reservoir",
]

MAX_ROWS = 5000
"""Of a reservoir: enough for every histogram, few enough for a page that opens."""


class Reservoir:
    """At most `MAX_ROWS` rows, each as likely to be among them as any other; the same rows give the same sample.

    Every row draws a number, and the rows with the smallest stay.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._numbers = np.empty(0)
        self.table = LOG_SCHEMA.empty_table()
        """The sampled rows, in no order."""
        self.rows_seen = 0
        """Rows that it was drawn from."""

    def add(self, rows: pa.Table) -> None:
        """Let more rows take part."""
        self.rows_seen += rows.num_rows
        numbers = self._rng.random(rows.num_rows)
        largest = self._numbers.max() if len(self._numbers) == MAX_ROWS else 1.0
        candidates = np.flatnonzero(numbers < largest)
        merged = np.concatenate([self._numbers, numbers[candidates]])
        table = pa.concat_tables([self.table, rows.select(LOG_SCHEMA.names).take(candidates)])
        kept = np.argsort(merged, kind="stable")[:MAX_ROWS]
        self._numbers, self.table = merged[kept], table.take(kept)
