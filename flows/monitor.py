"""The nightly look: has what is asked of the model moved away from what it was trained on?"""

import datetime as dt

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from monitoring.night import NightReport, monitor_day
from parking.workspace import open_workspace


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10])
def look_at(day: dt.date, since: dt.datetime | None, until: dt.datetime | None) -> list[NightReport]:
    """Compare a day's requests with each version's training; retried, for the store may be out of reach a while."""
    space = open_workspace()
    return monitor_day(space.store, space.registry, space.settings, day, since=since, until=until)


@flow
def monitor(
    day: dt.date | None = None, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> list[NightReport]:
    """Write a drift report for each model version that answered on a day; running it again replaces the report.

    Args:
        day: which day (UTC) to look at. Empty: yesterday.
        since: look only at requests from this moment on.
        until: look only at requests before this moment.
    """
    day = day or dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    reports = look_at(day, since, until)
    for report in reports:
        publish(report)
    return reports


def publish(report: NightReport) -> None:
    """Show the verdict in Prefect, and the columns that moved most."""
    key = f"drift-{report.day}-v{report.version}"
    moved = sorted(report.columns, key=lambda column: column.score, reverse=True)
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
            }
            for column in moved
        ],
        description=f"Version {report.version} on {report.day}: {report.verdict}, {report.rows} rows.",
    )
