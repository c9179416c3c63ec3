"""The inference log keeps every row, by day, and a torn file costs only its own."""

import datetime as dt
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.schema import (
    LOG_SCHEMA,
    read_parts,
    read_rows,
    rows_to_table,
    table_from_parquet,
    table_to_parquet,
    write_table,
)
from parking.errors import MonitoringError
from parking.storage import Store, open_store
from tests.monitoring.rows import NOON, row, write_rows

DAY = NOON.date()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    written = [row(request_id="a", count=3), row(request_id="b", free_share=0.25)]
    key = write_rows(store, written, date=DAY)
    assert re.fullmatch(r"inference-log/date=2026-05-01/[0-9a-f]{32}\.parquet", key)
    read = read_rows(store, DAY)
    assert read.problems == ()
    assert read.table.schema == LOG_SCHEMA
    assert read.table.to_pylist() == rows_to_table(written).to_pylist()


def test_a_day_is_read_alone_and_a_version_alone(store: Store) -> None:
    write_rows(store, [row(request_id="a"), row(request_id="b", model_version="2")], date=DAY)
    write_rows(store, [row(request_id="c")], date=DAY)
    write_rows(store, [row(request_id="d")], date=DAY + dt.timedelta(days=1))
    assert sorted(read_rows(store, DAY).table["request_id"].to_pylist()) == ["a", "b", "c"]
    assert read_rows(store, DAY, version="2").table["request_id"].to_pylist() == ["b"]


def test_a_day_without_requests_is_empty_and_no_fault(store: Store) -> None:
    read = read_rows(store, DAY)
    assert (read.table.num_rows, read.problems) == (0, ())


def test_a_torn_file_costs_its_own_rows_and_is_named(store: Store) -> None:
    write_rows(store, [row(request_id="whole")], date=DAY)
    torn = write_rows(store, [row(request_id="torn")], date=DAY)
    store.write(torn, store.read(torn)[:-20])
    read = read_rows(store, DAY)
    assert read.table["request_id"].to_pylist() == ["whole"]
    assert len(read.problems) == 1
    assert torn in read.problems[0]


def test_rows_of_an_older_schema_have_nulls_where_a_column_is_new(store: Store) -> None:
    older = rows_to_table([row()]).drop_columns(["haze"]).append_column("dropped_since", pa.array([1.0]))
    sink = io.BytesIO()
    pq.write_table(older, sink)
    store.write(f"inference-log/date={DAY}/old.parquet", sink.getvalue())
    write_rows(store, [row(haze=0.5)], date=DAY)
    table = read_rows(store, DAY).table
    assert table.schema == LOG_SCHEMA
    assert sorted(table["haze"].to_pylist(), key=str) == [0.5, None]


def test_a_table_of_something_else_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"price": [1.0]}), sink)
    with pytest.raises(MonitoringError, match=r"no log rows.* price"):
        table_from_parquet(sink.getvalue())


def many(rows: int) -> pa.Table:
    """So many rows with a column in which no two are alike, so that the file is no small one."""
    table = rows_to_table([row()]).take(np.zeros(rows, int))
    light = pa.array(np.random.default_rng(0).random(rows))
    return table.set_column(table.schema.get_field_index("luminance"), "luminance", light)


def test_few_rows_are_in_memory_at_a_time_however_many_an_hour_or_a_day_has(store: Store) -> None:
    def peak(day: dt.date, rows: int, files: int) -> int:
        for number in range(files):
            write_table(store, many(rows), date=day, name=str(number))
        before, most, seen = pa.default_memory_pool().bytes_allocated(), 0, 0
        for part in read_parts(store, day):
            seen += part.table.num_rows
            most = max(most, pa.default_memory_pool().bytes_allocated() - before)
        assert seen == rows * files
        return most

    few = peak(DAY, 10_000, files=1)
    assert peak(DAY + dt.timedelta(days=1), 160_000, files=1) < 1.5 * few
    assert peak(DAY + dt.timedelta(days=2), 10_000, files=16) < 1.5 * few


def test_a_file_that_is_damaged_at_its_end_counts_no_row_of_its_beginning(store: Store) -> None:
    data = table_to_parquet(many(40_000))
    last = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(4)
    column = LOG_SCHEMA.get_field_index("luminance")
    at = last.column(column).data_page_offset
    store.write(f"inference-log/date={DAY}/damaged.parquet", data[:at] + bytes(200) + data[at + 200 :])
    write_rows(store, [row(request_id="whole")], date=DAY)
    read = read_rows(store, DAY)
    assert read.table["request_id"].to_pylist() == ["whole"]
    assert "damaged.parquet" in read.problems[0]
