"""A few rows drawn at random from however many are read."""

import numpy as np
import pyarrow as pa

from monitoring.schema import LOG_SCHEMA

MOST_ROWS = 5000
"""Of a sample: enough for every histogram, few enough for a page that opens."""


class Sample:
    """At most `MOST_ROWS` rows, each as likely to be among them as any other; the same rows give the same sample.

    Every row draws a number, and the rows with the smallest stay.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._drawn = np.empty(0)
        self.table = LOG_SCHEMA.empty_table()
        """The rows, in no order."""
        self.seen = 0
        """Rows that it was drawn from."""

    def add(self, rows: pa.Table) -> None:
        """Let more rows take part."""
        self.seen += rows.num_rows
        numbers = self._rng.random(rows.num_rows)
        bar = self._drawn.max() if len(self._drawn) == MOST_ROWS else 1.0
        lucky = np.flatnonzero(numbers < bar)
        drawn = np.concatenate([self._drawn, numbers[lucky]])
        table = pa.concat_tables([self.table, rows.select(LOG_SCHEMA.names).take(lucky)])
        stay = np.argsort(drawn, kind="stable")[:MOST_ROWS]
        self._drawn, self.table = drawn[stay], table.take(stay)
