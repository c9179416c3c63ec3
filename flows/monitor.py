"""The daily monitoring run: have the requests drifted away from what the model was trained on?"""

import datetime as dt
from uuid import NAMESPACE_URL, uuid5

from loguru import logger
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from monitoring.actions import is_retrain_due, tag_version
from monitoring.answers import forget_answers
from monitoring.drift_statistics import ColumnDrift
from monitoring.examples import forget_examples
from monitoring.history import due_days
from monitoring.nightly import DriftReport, monitor_day
from parking.errors import NoVersionError, RegistryError
from parking.workspace import open_workspace

__all__ = [
    "DRIFT_EVENT",
    "days_due",
    "gauge",
    "monitor",
    "monitor_one_day",
    "notify",
    "publish",
    "remove_expired",
    "tag",
]

DRIFT_EVENT = "parking.drift.detected"
"""Event on drift; `flows.deployments` may start a retrain on it."""


@task(cache_policy=NO_CACHE)
def days_due() -> list[dt.date]:
    """Yesterday, and earlier days that were missed or have got more rows since."""
    return due_days(open_workspace().store, dt.datetime.now(dt.UTC).date())


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10])
def monitor_one_day(day: dt.date, since: dt.datetime | None, until: dt.datetime | None) -> list[DriftReport]:
    """Compare a day's requests with each version's training; retried, for the store may be unreachable for a while."""
    space = open_workspace()
    return monitor_day(space.store, space.registry, space.settings, day, since=since, until=until)


@flow
def monitor(
    day: dt.date | None = None, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> list[DriftReport]:
    """Write a drift report for each model version that answered on a day; running it again replaces the report.

    Args:
        day: which day (UTC) to report on. Empty: yesterday, and earlier days that were missed.
        since: only requests from this moment on.
        until: only requests before this moment.
    """
    if day is None:
        # First: images whose time is up must go even while MLflow cannot be reached.
        remove_expired()
    reports = [report for due in ([day] if day else days_due()) for report in monitor_one_day(due, since, until)]
    whole_days = since is None and until is None
    for report in reports:
        publish(report)
        if whole_days:
            tag(report)
    if whole_days and reports:
        latest = max(report.day for report in reports)
        notify([report for report in reports if report.day == latest])
    return reports


@task(cache_policy=NO_CACHE)
def remove_expired() -> int:
    """Delete answers that can no longer be corrected, and their images, also from reports."""
    space = open_workspace()
    days, today = space.settings.feedback_days, dt.datetime.now(dt.UTC).date()
    return forget_examples(space.store, days=days, today=today) + forget_answers(space.store, days=days, today=today)


def tag(report: DriftReport) -> None:
    """Tag the version in MLflow with the verdict; without the version, or without MLflow, the run goes on."""
    if not report.version:
        # No requests, or rows without a version.
        return
    try:
        tag_version(open_workspace().registry, report)
    except (NoVersionError, RegistryError) as error:
        logger.warning("The verdict of {} is in no tag. {}", report.day, error)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10])
def notify(reports: list[DriftReport]) -> None:
    """Emit an event for each version that drifted, which says whether a retrain is due."""
    drifted = [report for report in reports if report.verdict == "drift"]
    if not drifted:
        return
    space = open_workspace()
    due = is_retrain_due(space.registry, space.settings, drifted, dt.datetime.now(dt.UTC))
    for report in drifted:
        emit_event(
            DRIFT_EVENT,
            # A day that is compared twice is one event.
            id=uuid5(NAMESPACE_URL, f"{space.settings.model_name}/{report.version}/{report.day}/{due}"),
            resource={
                "prefect.resource.id": f"parking.model.{report.version}",
                "prefect.resource.name": f"{space.settings.model_name} version {report.version}",
                "parking.retrain": "due" if due else "not-due",
            },
            payload={
                "day": str(report.day),
                "version": report.version,
                "verdict": report.verdict,
                "reason": report.reason,
                "columns": [column.name for column in report.columns if column.drifted],
                "report": report.html,
            },
        )
        logger.warning("Version {} drifted on {}. {}", report.version, report.day, report.reason)


def publish(report: DriftReport) -> None:
    """Show the verdict in Prefect, and the columns that moved most."""
    key = f"drift-{report.day}-v{report.version}"
    moved = sorted(report.columns, key=lambda column: column.excess, reverse=True)
    create_markdown_artifact(key=f"{key}-verdict", markdown=f"**{report.verdict}**: {report.reason}\n\n{report.html}")
    create_table_artifact(
        key=key,
        table=[
            {
                "column": column.name,
                "drift": round(column.score, 3),
                "drifted": column.drifted,
                "in training": round(column.reference_mean, 4),
                "that day": round(column.current_mean, 4),
                "where in the training's range": gauge(column),
            }
            for column in moved
        ],
        description=f"Version {report.version} on {report.day}: {report.verdict}, {report.rows} rows.",
    )


def gauge(column: ColumnDrift, width: int = 15) -> str:
    """The day's mean (●) on a line about the middle nine tenths of the training (█), for a cell of a table."""
    span = (column.reference_high - column.reference_low) or 1.0
    steps = range(-width // 3, width + width // 3 + 1)
    at = round((column.current_mean - column.reference_low) / span * width)
    at = min(max(at, steps[0]), steps[-1])
    return "".join("●" if step == at else "█" if 0 <= step <= width else "·" for step in steps)
