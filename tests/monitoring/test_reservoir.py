"""A reservoir is small, fair, and the same for the same rows."""

import numpy as np
import pyarrow as pa

from monitoring import reservoir
from monitoring.reservoir import Reservoir
from monitoring.schema import rows_to_table
from tests.monitoring.rows import row


def numbered(first: int, rows: int) -> pa.Table:
    table = rows_to_table([row()]).take(np.zeros(rows, int))
    column = pa.array(np.arange(first, first + rows, dtype=float))
    return table.set_column(table.schema.get_field_index("latency_ms"), "latency_ms", column)


def drawn(parts: int, of: int) -> list[float]:
    made = Reservoir(seed=3)
    for part in range(parts):
        made.add(numbered(part * of, of))
    assert made.rows_seen == parts * of
    found: list[float] = made.table["latency_ms"].to_pylist()
    return sorted(found)


def test_few_rows_are_all_in_it() -> None:
    assert drawn(3, 100) == list(range(300))


def test_of_many_rows_as_many_stay_as_may_from_every_part() -> None:
    found = drawn(10, 2000)
    assert len(found) == reservoir.MAX_ROWS
    assert len(set(found)) == reservoir.MAX_ROWS
    by_part = np.bincount((np.array(found) // 2000).astype(int), minlength=10)
    assert by_part.min() > 400
    assert by_part.max() < 600
    assert drawn(10, 2000) == found
