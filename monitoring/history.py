"""The drift history: a small record in the store for each day and version, from which trends are drawn."""

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from monitoring.drift_statistics import Verdict
from monitoring.performance import Performance
from monitoring.schema import log_state
from parking.errors import MissingKeyError
from parking.storage import Store

__all__ = ["CATCH_UP_DAYS", "REPORT_PREFIX", "ColumnSummary", "DaySummary", "due_days", "read_history", "write_summary"]

REPORT_PREFIX = "reports/drift/"
_HISTORY_PREFIX = f"{REPORT_PREFIX}history/"
_KEY = re.compile(r"(\d{4}-\d\d-\d\d)-v(\w+)\.json")
CATCH_UP_DAYS = 14
"""How far back a run goes for days that were missed."""


class ColumnSummary(BaseModel):
    """One column of one day."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    score: float
    """How far it moved, in units of the training's spread."""
    limit: float
    """The score from which it counts as moved."""
    mean: float
    """That day."""
    trained: tuple[float, float]
    """5th and 95th percentile at training time."""


class DaySummary(BaseModel):
    """One version's requests of one day, in short."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    day: dt.date
    version: str
    """The version that answered; empty when none did."""
    verdict: Verdict
    reason: str
    rows: int
    columns: dict[str, ColumnSummary] = {}
    """By name, in falling order of drift."""
    files: int = 0
    """Log files that were read."""
    log: str = ""
    """Fingerprint of them: where that is another now, rows came late and the day is due again."""
    html: str = ""
    """Key of the full report."""
    performance: Performance | None = None
    """How good the version's answers were, by the corrections until then."""


def write_summary(store: Store, summary: DaySummary) -> None:
    """Add to the history; the same day and version again replaces the record.

    Raises:
        StoreError: the store refused.
    """
    key = f"{_HISTORY_PREFIX}{summary.day}-v{summary.version or 'none'}.json"
    store.write(key, summary.model_dump_json().encode())


def read_history(store: Store, since: dt.date) -> Iterator[DaySummary]:
    """Records from a day on, oldest first; a damaged one is passed over.

    Raises:
        StoreError: the store refused.
    """
    for key in store.keys(_HISTORY_PREFIX):
        named = _KEY.fullmatch(key.removeprefix(_HISTORY_PREFIX))
        if named and named[1] >= str(since):
            try:
                yield DaySummary.model_validate(json.loads(store.read(key)))
            except (ValidationError, ValueError, MissingKeyError):
                continue


def due_days(store: Store, today: dt.date) -> list[dt.date]:
    """Yesterday, and before it the days with log files that no run has read yet; oldest first.

    Days to come do not count: a clock that was wrong for a while leaves rows there.
    """
    yesterday = today - dt.timedelta(days=1)
    earliest = today - dt.timedelta(days=CATCH_UP_DAYS)
    read: dict[dt.date, list[DaySummary]] = {}
    for summary in read_history(store, earliest):
        read.setdefault(summary.day, []).append(summary)
    days = (earliest + dt.timedelta(days=number) for number in range(CATCH_UP_DAYS - 1))
    return [*(day for day in days if _has_news(store, day, read.get(day, []))), yesterday]


def _has_news(store: Store, day: dt.date, summaries: Sequence[DaySummary]) -> bool:
    """Whether a day's log holds what none of its reports has seen."""
    files, fingerprint = log_state(store, day)
    if any(summary.log for summary in summaries):
        return files > 0 and all(summary.log != fingerprint for summary in summaries)
    # Summaries of an older version know only how many files there were.
    return files > max((summary.files for summary in summaries), default=0)
