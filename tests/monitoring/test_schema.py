"""The inference log keeps every row, by day, and a torn file costs only its own."""

import datetime as dt
import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.schema import LOG_SCHEMA, read_rows, rows_to_table, table_from_parquet, write_rows
from parking.errors import MonitoringError
from parking.storage import Store, open_store
from tests.monitoring.rows import NOON, row

DAY = NOON.date()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    written = [row(request_id="a", count=3), row(request_id="b", free_share=0.25)]
    key = write_rows(store, written, date=DAY)
    assert re.fullmatch(r"inference-log/date=2026-05-01/\d{8}T\d{6}-[0-9a-f]{32}\.parquet", key)
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
