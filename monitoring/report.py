"""A drift report: the verdict on one version's requests of a day, and how it is kept in the store."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.drift import Finding
from monitoring.drift_statistics import ColumnDrift, Verdict
from monitoring.examples import Example, examples_key, keep_examples
from monitoring.history import REPORT_PREFIX, ColumnSummary, DaySummary, write_summary
from monitoring.performance import Performance
from parking.storage import Store

__all__ = ["DriftReport", "add_to_history", "make_report", "write_report"]


@dataclass(frozen=True)
class DriftReport:
    """The verdict on one version's requests of one day, and where its report lies in the store."""

    day: dt.date
    version: str
    """The version that answered; empty when none did."""
    verdict: Verdict
    reason: str
    rows: int
    columns: tuple[ColumnDrift, ...]
    """In falling order of drift."""
    html: str
    """Key of the page for people."""
    json_key: str
    """Key of the numbers for machines."""
    performance: Performance | None
    """Scores of the version's corrected answers in the last thirty days; nothing where none was corrected."""
    problems: tuple[str, ...]
    """Log files that could not be read, whose rows are missing, and other problems in the day's log."""


def make_report(
    finding: Finding,
    performance: Performance | None,
    problems: tuple[str, ...],
    *,
    day: dt.date,
    version: str,
    suffix: str = "",
) -> DriftReport:
    """A report that is not kept yet.

    Args:
        finding: the verdict.
        performance: of the version, by corrections; nothing where there are none.
        problems: in the day's log.
        day: of the requests.
        version: that answered them; empty when none did.
        suffix: of its keys, for a part of a day; empty for the whole day.
    """
    base = f"{REPORT_PREFIX}{day}/v{version or 'none'}{suffix}"
    return DriftReport(
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


def write_report(store: Store, report: DriftReport, finding: Finding, html: str, examples: Sequence[Example]) -> None:
    """Write page, numbers and examples, in place of earlier ones.

    The examples of a page lie beside it: by them, images are found in pages when they have to be removed.

    Raises:
        StoreError: the store refused.
    """
    performance = report.performance.model_dump() if report.performance else None
    identity = {"day": str(report.day), "version": report.version}
    numbers = {**identity, **finding.json, "performance": performance, "problems": report.problems}
    # Before the page: an image in a page without its examples would never be removed.
    if examples:
        keep_examples(store, report.html, examples)
    store.write(report.html, html.encode())
    store.write(report.json_key, json.dumps(numbers, indent=2).encode())
    if not examples:
        store.delete(examples_key(report.html))


def add_to_history(store: Store, report: DriftReport, files: int, log: str) -> None:
    """Write the day's record, from which trends are drawn; `files` of the log were read, with the fingerprint `log`."""
    columns = {
        column.name: ColumnSummary(
            score=column.score,
            limit=column.limit,
            mean=column.current_mean,
            trained=(column.reference_low, column.reference_high),
        )
        for column in report.columns
    }
    summary = DaySummary(
        day=report.day,
        version=report.version,
        verdict=report.verdict,
        reason=report.reason,
        rows=report.rows,
        columns=columns,
        files=files,
        log=log,
        html=report.html,
        performance=report.performance,
    )
    write_summary(store, summary)
