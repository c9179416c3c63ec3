"""The drift history: a record for each day and version, from which the days that are missing follow."""

import datetime as dt
from pathlib import Path

import pytest

from monitoring.history import ColumnSummary, DaySummary, due_days, read_history, write_summary
from monitoring.schema import log_state, rows_to_table, write_table
from parking.storage import Store, open_store
from tests.monitoring.rows import NOON, row, write_rows

TODAY = NOON.date()


def days_ago(number: int) -> dt.date:
    return TODAY - dt.timedelta(days=number)


def summary(day: dt.date, **changes: object) -> DaySummary:
    return DaySummary.model_validate({"day": day, "version": "1", "verdict": "ok", "reason": "", "rows": 3, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_a_day_comes_back_as_it_was_kept(store: Store) -> None:
    kept = summary(TODAY, columns={"haze": ColumnSummary(score=2, limit=0.5, mean=0.3, trained=(0.1, 0.2))}, files=2)
    write_summary(store, kept)
    write_summary(store, summary(days_ago(40)))
    assert list(read_history(store, days_ago(30))) == [kept]


def test_a_row_that_is_damaged_hides_no_other(store: Store) -> None:
    write_summary(store, summary(TODAY))
    store.write(f"reports/drift/history/{TODAY}-v2.json", b'{"day":')
    assert [kept.version for kept in read_history(store, TODAY)] == ["1"]


def test_yesterday_is_always_due(store: Store) -> None:
    assert due_days(store, TODAY) == [days_ago(1)]


def test_days_that_were_missed_or_got_rows_since_are_due_again(store: Store) -> None:
    for number in (2, 3, 4, 60):
        write_rows(store, [row()], date=days_ago(number))
    write_rows(store, [row()], date=days_ago(4))
    for number in (3, 4):
        write_summary(store, summary(days_ago(number), files=1))
    assert due_days(store, TODAY) == [days_ago(4), days_ago(2), days_ago(1)]


def test_rows_that_come_late_make_a_day_due_again_though_they_are_in_the_same_file(store: Store) -> None:
    day = days_ago(3)
    write_table(store, rows_to_table([row()]), date=day, name="an-hour")
    files, log = log_state(store, day)
    for version in ("1", "2"):
        write_summary(store, summary(day, version=version, files=files, log=log))
    assert due_days(store, TODAY) == [days_ago(1)]
    write_table(store, rows_to_table([row(), row()]), date=day, name="an-hour")
    assert due_days(store, TODAY) == [day, days_ago(1)]
    files, log = log_state(store, day)
    write_summary(store, summary(day, version="2", files=files, log=log))
    assert due_days(store, TODAY) == [days_ago(1)], "version 1 got no more rows, and has no new report"


def test_a_day_that_an_older_version_compared_is_not_due_for_that_alone(store: Store) -> None:
    write_rows(store, [row()], date=days_ago(3))
    write_summary(store, summary(days_ago(3), files=1))
    assert due_days(store, TODAY) == [days_ago(1)]


def test_rows_of_a_day_to_come_are_left_until_it_has_passed(store: Store) -> None:
    write_rows(store, [row()], date=days_ago(-3))
    write_summary(store, summary(days_ago(-3), files=1))
    assert due_days(store, TODAY) == [days_ago(1)]
