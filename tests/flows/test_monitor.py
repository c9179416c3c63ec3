"""The nightly flow: a report for each version that answered, and the same one when it is run again."""

import datetime as dt
from pathlib import Path

from flows.monitor import monitor
from monitoring.night import REPORT_PREFIX
from monitoring.schema import REFERENCE_FILE, rows_to_table, table_to_parquet, write_rows
from parking.workspace import Workspace
from tests.flows.conftest import Shelf
from tests.monitoring.rows import NOON, row, scene_rows


def reports(space: Workspace, day: dt.date) -> list[str]:
    return [key for key in space.store.keys(f"{REPORT_PREFIX}{day}/") if key.endswith(".html")]


def test_twice_for_the_same_day_is_one_report(space: Workspace, shelf: Shelf, sharp: Path, tmp_path: Path) -> None:
    reference = tmp_path / REFERENCE_FILE
    reference.write_bytes(table_to_parquet(rows_to_table(scene_rows(range(40)))))
    with space.tracker.run("made by a test") as run:
        version = space.registry.register(sharp, run_id=run.id, tags={}, extras=[reference])
    asked = [row(r, model_version=str(version.number)) for r in scene_rows(range(50, 66))]
    write_rows(space.store, asked, date=NOON.date())
    (first,) = monitor(NOON.date())
    (second,) = monitor(NOON.date())
    assert (first.version, first.verdict, first.rows) == (str(version.number), "ok", 16)
    assert second.html == first.html
    assert reports(space, NOON.date()) == [first.html]
    assert len(list(space.store.keys(f"{REPORT_PREFIX}history/{NOON.date()}"))) == 1


def test_a_day_without_requests_says_so(space: Workspace) -> None:
    day = dt.date(2026, 2, 1)
    (report,) = monitor(day)
    assert report.verdict == "insufficient_data"
    assert str(day) in report.reason
    assert len(reports(space, day)) == 1


def test_no_day_means_yesterday() -> None:
    (report,) = monitor()
    assert report.day == dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
