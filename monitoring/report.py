"""What one look at a night came to, and how it is kept in the store."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.drift import Finding
from monitoring.drift_statistics import ColumnDrift, Verdict
from monitoring.examples import Example, examples_key, keep_examples
from monitoring.history import REPORT_PREFIX, ColumnNight, Night, keep_night
from monitoring.performance import Performance
from parking.storage import Store


@dataclass(frozen=True)
class NightReport:
    """The verdict on one version's requests of one day, and where its report lies in the store."""

    day: dt.date
    version: str
    """The version that answered; empty when none did."""
    verdict: Verdict
    reason: str
    rows: int
    columns: tuple[ColumnDrift, ...]
    """The furthest moved first."""
    html: str
    """Key of the page for people."""
    json_key: str
    """Key of the numbers for machines."""
    performance: Performance | None
    """What people said of the version's answers in the last thirty days; nothing where nobody did."""
    problems: tuple[str, ...]
    """Log files that could not be read, whose rows are missing, and what else was odd about the day's log."""


def make_report(
    finding: Finding,
    performance: Performance | None,
    problems: tuple[str, ...],
    *,
    day: dt.date,
    version: str,
    part: str,
) -> NightReport:
    """A report that is not kept yet.

    Args:
        finding: the verdict.
        performance: what people said, if anybody did.
        problems: what was odd about the day's log.
        day: of the requests.
        version: that answered them; empty when none did.
        part: of the day, as its keys name it; empty for the whole day.
    """
    base = f"{REPORT_PREFIX}{day}/v{version or 'none'}{part}"
    return NightReport(
        day=day,
        version=version,
        verdict=finding.verdict,
        reason=finding.reason,
        rows=finding.rows,
        columns=finding.columns,
        html=f"{base}.html",
        json_key=f"{base}.json",
        performance=performance,
        problems=problems,
    )


def keep_report(store: Store, report: NightReport, finding: Finding, html: str, examples: Sequence[Example]) -> None:
    """Write page, numbers and examples, instead of those before.

    Wherever a page shows images, its examples lie beside it: by them the images are found when they have to go.
    """
    said = report.performance.model_dump() if report.performance else None
    whose = {"day": str(report.day), "version": report.version}
    numbers = {**whose, **finding.json, "performance": said, "problems": report.problems}
    if examples:
        keep_examples(store, report.html, examples)
    store.write(report.html, html.encode())
    store.write(report.json_key, json.dumps(numbers, indent=2).encode())
    if not examples:
        store.delete(examples_key(report.html))


def keep_in_history(store: Store, report: NightReport, files: int) -> None:
    """Write the night's row, from which trends are drawn; `files` of the log were read."""
    columns = {
        column.name: ColumnNight(
            score=column.score,
            limit=column.limit,
            mean=column.current_mean,
            trained=(column.reference_low, column.reference_high),
        )
        for column in report.columns
    }
    night = Night(
        day=report.day,
        version=report.version,
        verdict=report.verdict,
        reason=report.reason,
        rows=report.rows,
        columns=columns,
        files=files,
        html=report.html,
        performance=report.performance,
    )
    keep_night(store, night)
