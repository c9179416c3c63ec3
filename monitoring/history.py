"""What every night came to: a small row in the store for each day and version, from which trends are drawn."""

import datetime as dt
import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from monitoring.drift_statistics import Verdict
from monitoring.performance import Performance
from monitoring.schema import log_keys
from parking.errors import MissingKeyError
from parking.storage import Store

REPORT_PREFIX = "reports/drift/"
_HISTORY_PREFIX = f"{REPORT_PREFIX}history/"
_KEY = re.compile(r"(\d{4}-\d\d-\d\d)-v(\w+)\.json")
CATCH_UP_DAYS = 14
"""How far back a nightly look goes for days that were missed."""


class ColumnNight(BaseModel):
    """One column of one night."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    score: float
    """How far it moved, in units of the training's spread."""
    limit: float
    """The score from which it counts as moved."""
    mean: float
    """That day."""
    trained: tuple[float, float]
    """5th and 95th percentile at training time."""


class Night(BaseModel):
    """One version's requests of one day, in short."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    day: dt.date
    version: str
    """The version that answered; empty when none did."""
    verdict: Verdict
    reason: str
    rows: int
    columns: dict[str, ColumnNight] = {}
    """By name, the furthest moved first."""
    files: int = 0
    """Log files that were read: with more of them, the day is looked at again."""
    html: str = ""
    """Key of the full report."""
    performance: Performance | None = None
    """What corrections said of the version's answers by then."""


def keep_night(store: Store, night: Night) -> None:
    """Write a night's row; the same day and version again replaces it."""
    key = f"{_HISTORY_PREFIX}{night.day}-v{night.version or 'none'}.json"
    store.write(key, night.model_dump_json().encode())


def read_nights(store: Store, since: dt.date) -> Iterator[Night]:
    """Nights from a day on, oldest first; a row that cannot be read any more is passed over."""
    for key in store.keys(_HISTORY_PREFIX):
        named = _KEY.fullmatch(key.removeprefix(_HISTORY_PREFIX))
        if named and named[1] >= str(since):
            try:
                yield Night.model_validate(json.loads(store.read(key)))
            except (ValidationError, ValueError, MissingKeyError):
                continue


def due_days(store: Store, today: dt.date) -> list[dt.date]:
    """Yesterday, and before it the days of which log files have not been looked at; oldest first.

    Days to come do not count: a clock that was wrong for a while leaves rows there.
    """
    yesterday = today - dt.timedelta(days=1)
    earliest = today - dt.timedelta(days=CATCH_UP_DAYS)
    seen: dict[dt.date, int] = {}
    for night in read_nights(store, earliest):
        seen[night.day] = max(night.files, seen.get(night.day, 0))
    days = (earliest + dt.timedelta(days=number) for number in range(CATCH_UP_DAYS - 1))
    return [*(day for day in days if len(log_keys(store, day)) > seen.get(day, 0)), yesterday]
