"""The daily run: by version, against that version's own training, and never silent."""

import datetime as dt
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from monitoring.nightly import monitor_day
from monitoring.schema import LogRow, rows_to_table, table_to_parquet
from parking.settings import Settings
from parking.storage import Store, open_store
from tests.monitoring.fake_registry import FakeRegistry
from tests.monitoring.rows import NOON, row, scene_rows, write_rows

DAY = NOON.date()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def reference(rows: Sequence[LogRow]) -> bytes:
    return table_to_parquet(rows_to_table(rows))


@pytest.mark.e2e
def test_each_version_is_compared_with_its_own_training(store: Store, settings: Settings) -> None:
    trained_one, trained_two = scene_rows(range(40)), [row(r, luminance=r.luminance / 4) for r in scene_rows(range(40))]
    asked = scene_rows(range(50, 66))
    write_rows(store, [*asked, *(row(r, model_version="2") for r in asked)], date=DAY)
    registry = FakeRegistry({"1": reference(trained_one), "2": reference(trained_two)})
    first, second = monitor_day(store, registry, settings, DAY)
    assert (first.version, first.verdict, first.rows) == ("1", "ok", 16)
    assert (second.version, second.verdict) == ("2", "drift")
    assert second.columns[0].name == "luminance"
    assert first.html == "reports/drift/2026-05-01/v1.html"
    assert b"<strong>ok</strong>" in store.read(first.html)
    assert json.loads(store.read(second.json_key))["verdict"] == "drift"


def test_the_same_day_twice_replaces_its_reports(store: Store, settings: Settings) -> None:
    registry = FakeRegistry({"1": None})
    write_rows(store, [row()], date=DAY)
    monitor_day(store, registry, settings, DAY)
    keys = list(store.keys("reports/"))
    write_rows(store, [row()], date=DAY)
    (again,) = monitor_day(store, registry, settings, DAY)
    assert list(store.keys("reports/")) == keys
    assert keys == [
        "reports/drift/2026-05-01/v1.html",
        "reports/drift/2026-05-01/v1.json",
        "reports/drift/history/2026-05-01-v1.json",
    ]
    assert json.loads(store.read(keys[2]))["rows"] == again.rows == 2


@pytest.mark.e2e
def test_a_workspace_that_is_damaged_costs_no_report(store: Store, settings: Settings) -> None:
    write_rows(store, scene_rows(range(50, 66)), date=DAY)
    registry = FakeRegistry({"1": reference(scene_rows(range(40)))})
    monitor_day(store, registry, settings, DAY)
    (metadata,) = (settings.state_dir / "evidently").glob("*/metadata.json")
    metadata.write_text("{")
    (report,) = monitor_day(store, registry, settings, DAY)
    assert report.verdict == "ok"


def test_a_day_without_requests_says_so(store: Store, settings: Settings) -> None:
    (report,) = monitor_day(store, FakeRegistry({}), settings, DAY)
    assert report.verdict == "insufficient_data"
    assert report.reason == "No requests were logged on 2026-05-01."
    assert store.exists(report.html)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({}, "There is no version 1"),
        ({"1": None}, "registered without reference.parquet"),
        ({"1": b"torn"}, "not a readable Parquet file"),
    ],
)
def test_without_a_reference_nothing_is_claimed(
    store: Store, settings: Settings, kept: dict[str, bytes | None], told: str
) -> None:
    write_rows(store, scene_rows(range(16)), date=DAY)
    (report,) = monitor_day(store, FakeRegistry(kept), settings, DAY)
    assert (report.verdict, report.rows) == ("insufficient_data", 16)
    assert told in report.reason


def test_part_of_a_day_is_judged_alone_and_keeps_the_whole_days_report(store: Store, settings: Settings) -> None:
    times = [NOON + dt.timedelta(hours=hour) for hour in (0, 1, 2)]
    write_rows(store, [row(time=time) for time in times], date=DAY)
    (whole,) = monitor_day(store, FakeRegistry({}), settings, DAY)
    (after,) = monitor_day(store, FakeRegistry({}), settings, DAY, since=times[1])
    (before,) = monitor_day(store, FakeRegistry({}), settings, DAY, until=times[1])
    assert (whole.rows, after.rows, before.rows) == (3, 2, 1)
    assert len({whole.html, after.html, before.html}) == 3
    (kept,) = store.keys("reports/drift/history/")
    assert json.loads(store.read(kept))["rows"] == 3


def test_a_torn_log_file_is_named_in_the_report(store: Store, settings: Settings) -> None:
    write_rows(store, [row()], date=DAY)
    store.write("inference-log/date=2026-05-01/torn.parquet", b"PAR1 torn")
    (report,) = monitor_day(store, FakeRegistry({}), settings, DAY)
    assert report.rows == 1
    assert "torn.parquet" in report.problems[0]
    assert "torn.parquet" in store.read(report.json_key).decode()


def test_rows_with_the_time_of_another_day_are_counted_and_reported(store: Store, settings: Settings) -> None:
    write_rows(store, [row(), row(time=NOON + dt.timedelta(days=400))], date=DAY)
    (report,) = monitor_day(store, FakeRegistry({}), settings, DAY)
    assert report.rows == 2
    assert "1 rows of 2026-05-01 carry the time of another day" in report.problems[0]


@pytest.mark.e2e
def test_rows_of_an_older_schema_are_judged_by_the_columns_they_have(store: Store, settings: Settings) -> None:
    older = rows_to_table(scene_rows(range(50, 66))).drop_columns(["haze", "noise"])
    store.write(f"inference-log/date={DAY}/old.parquet", table_to_parquet(older))
    (report,) = monitor_day(store, FakeRegistry({"1": reference(scene_rows(range(40)))}), settings, DAY)
    assert (report.verdict, report.rows) == ("ok", 16)
    names = {column.name for column in report.columns}
    assert "luminance" in names
    assert not names & {"haze", "noise"}


def test_rows_that_do_not_say_which_version_answered_have_a_report_that_says_so(
    store: Store, settings: Settings
) -> None:
    table = rows_to_table([row()])
    nobody = table.set_column(
        table.schema.get_field_index("model_version"), "model_version", pa.array([None], "string")
    )
    store.write(f"inference-log/date={DAY}/nobody.parquet", table_to_parquet(nobody))
    (report,) = monitor_day(store, FakeRegistry({}), settings, DAY)
    assert (report.verdict, report.version, report.rows) == ("insufficient_data", "", 1)
    assert "does not say which version" in report.reason


@pytest.mark.e2e
def test_two_runs_over_a_day_at_once_leave_one_whole_report(store: Store, settings: Settings) -> None:
    write_rows(store, scene_rows(range(50, 66)), date=DAY)
    registry = FakeRegistry({"1": reference(scene_rows(range(40)))})
    # Evidently may be imported by one thread at a time only.
    (alone,) = monitor_day(store, registry, settings, DAY)
    written = json.loads(store.read(alone.json_key))
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(monitor_day, store, registry, settings, DAY) for _ in range(2)]
        reasons = [run.result()[0].reason for run in runs]
    assert reasons == [alone.reason] * 2
    assert json.loads(store.read(alone.json_key)) == written
    assert len(list(store.keys("reports/"))) == 3
