"""The nightly flow: a report for each version that answered, and the same one when it is run again."""

import datetime as dt
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events import Event

from flows.deployments import after_drift
from flows.monitor import DRIFT_EVENT, monitor
from monitoring.history import read_history
from monitoring.nightly import REPORT_PREFIX
from monitoring.schema import rows_to_table, table_to_parquet
from parking.errors import RegistryError
from parking.registry import REFERENCE_FILE
from parking.settings import Settings
from parking.workspace import Workspace
from tests.e2e.waiting import wait_until
from tests.flows.conftest import forget
from tests.monitoring.rows import NOON, row, scene_rows, write_rows


def reports(space: Workspace, day: dt.date) -> list[str]:
    return [key for key in space.store.keys(f"{REPORT_PREFIX}{day}/") if key.endswith(".html")]


def register(space: Workspace, model: Path, folder: Path) -> str:
    """A version whose training was forty generated scenes."""
    reference = folder / REFERENCE_FILE
    reference.write_bytes(table_to_parquet(rows_to_table(scene_rows(range(40)))))
    with space.tracker.run("made by a test") as run:
        return str(space.registry.register(model, run_id=run.id, tags={}, extras={REFERENCE_FILE: reference}).number)


def ask(space: Workspace, version: str, day: dt.date, light: float = 1.0) -> None:
    """A day's log of sixteen requests, in another light than in training or in the same."""
    asked = [row(r, model_version=version, luminance=r.luminance * light) for r in scene_rows(range(50, 66))]
    write_rows(space.store, asked, date=day)


def events(version: str) -> list[Event]:
    """What the server knows of a version's drift."""
    with get_client(sync_client=True) as client:
        asked = {"filter": {"event": {"name": [DRIFT_EVENT]}, "resource": {"id": [f"parking.model.{version}"]}}}
        answer = client._client.post("/events/filter", json=asked)
        return [Event.model_validate(event) for event in answer.json()["events"]]


def test_twice_for_the_same_day_is_one_report(space: Workspace, sharp: Path, tmp_path: Path) -> None:
    version = register(space, sharp, tmp_path)
    ask(space, version, NOON.date())
    (first,) = monitor(NOON.date())
    (second,) = monitor(NOON.date())
    assert (first.version, first.verdict, first.rows) == (version, "ok", 16)
    assert second.html == first.html
    assert reports(space, NOON.date()) == [first.html]
    assert len([one for one in read_history(space.store, NOON.date()) if one.version == version]) == 1


def test_the_version_wears_its_latest_verdict_as_a_tag(space: Workspace, sharp: Path, tmp_path: Path) -> None:
    version = register(space, sharp, tmp_path)
    earlier, later = NOON.date() + dt.timedelta(days=1), NOON.date() + dt.timedelta(days=2)
    ask(space, version, earlier, light=0.2)
    ask(space, version, later)
    monitor(later)
    monitor(earlier)
    tags = space.registry.resolve(version).tags
    assert (tags["drift_verdict"], tags["drift_day"]) == ("ok", str(later))


def test_drift_of_the_serving_version_is_one_event_that_says_whether_a_retrain_is_due(
    space: Workspace, sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(space, sharp, tmp_path)
    space.registry.promote(int(version), reason="to watch it", by="a test")
    day = NOON.date() + dt.timedelta(days=3)
    ask(space, version, day, light=0.2)
    monitor(day)
    monitor(day)
    monkeypatch.setenv("PARKING_RETRAIN_COOLDOWN_DAYS", "0")
    forget()
    monitor(day)
    wait_until(lambda: len(events(version)) >= 2, 30, "the events")
    told = sorted(events(version), key=lambda event: event.resource["parking.retrain"])
    assert [event.resource["parking.retrain"] for event in told] == ["due", "not-due"]
    assert told[0].payload["columns"][0] == "luminance"
    assert told[0].payload["day"] == str(day)


def test_a_retrain_follows_drift_only_where_the_settings_say_so() -> None:
    assert after_drift(Settings(_env_file=None)) == []
    assert after_drift(Settings(_env_file=None, retrain_on_drift=True)) == []
    (trigger,) = after_drift(Settings(_env_file=None, retrain_on_drift=True, retrain_cooldown_days=3, data="aerial/"))
    assert trigger.expect == {DRIFT_EVENT}
    assert trigger.within == dt.timedelta(days=3)


def test_days_that_were_missed_are_caught_up_and_then_done(space: Workspace, sharp: Path, tmp_path: Path) -> None:
    version = register(space, sharp, tmp_path)
    today = dt.datetime.now(dt.UTC).date()
    missed, yesterday = today - dt.timedelta(days=4), today - dt.timedelta(days=1)
    ask(space, version, missed)
    assert [report.day for report in monitor()] == [missed, yesterday]
    assert [report.day for report in monitor()] == [yesterday]


def test_expired_answers_go_though_no_day_can_be_compared(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> None:
        raise RegistryError("MLflow is away.")

    old = "answers/2020-01-01/old.json"
    space.store.write(old, b"{}")
    monkeypatch.setattr("flows.monitor.monitor_one_day", down)
    with pytest.raises(RegistryError):
        monitor()
    assert not space.store.exists(old)


def test_a_day_without_requests_says_so(space: Workspace) -> None:
    day = dt.date(2026, 2, 1)
    (report,) = monitor(day)
    assert report.verdict == "insufficient_data"
    assert str(day) in report.reason
    assert len(reports(space, day)) == 1


def test_no_day_means_yesterday() -> None:
    (report,) = monitor()
    assert report.day == dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
