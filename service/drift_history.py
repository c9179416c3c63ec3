"""The drift history: for people on a page, for Prometheus as numbers."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response
from loguru import logger
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException

from monitoring.drift_statistics import Verdict
from monitoring.examples import Example, read_examples
from monitoring.history import REPORT_PREFIX, DaySummary, read_history
from parking.errors import MissingKeyError, StoreError
from parking.settings import Settings
from parking.storage import Store
from service.auth import Shown, caller, check_reader, signed
from service.pages import HEADERS, WEB

__all__ = ["EVERY_SECONDS", "DriftHistory", "DriftMetrics", "router"]

REPORTS = "monitoring/reports/"
"""Where reports are, relative to the service's address."""
SHOWN_DAYS = 30
EVERY_SECONDS = 300.0
"""How often the metrics follow the store: there is one report a day."""

_REPORT = re.compile(r"\d{4}-\d\d-\d\d/v\w+(-from-\d{6})?(-to-\d{6})?\.html")
_REPORT_HEADERS = {
    **HEADERS,
    # It may show images, which are for nobody else who comes through the same proxy.
    "Cache-Control": "private, no-cache",
    # Evidently's page is one file that draws itself: it may run, and reach nothing.
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'none'"
    ),
}

router = APIRouter()


class DriftMetrics(Collector):
    """Shows one day at a time, and always a whole one: a scrape may come at any moment.

    Gauges that are cleared and set again are incomplete for a moment. So the metrics of a day are made first, and then
    replace those of the day before by one assignment.
    """

    def __init__(self) -> None:
        # Until there is a report, the wait for one began with this process.
        self._shown = tuple(_families((), datetime.now(UTC)))

    def show(self, summaries: Sequence[DaySummary]) -> None:
        """Show the latest day of these, with every version; without any, the metrics stay as they are."""
        latest = max((summary.day for summary in summaries), default=None)
        if latest is not None:
            self._shown = tuple(_families([one for one in summaries if one.day == latest], _end_of(latest)))

    def collect(self) -> Iterable[Metric]:
        """What is shown, for a scrape."""
        return self._shown


class DayReport(DaySummary):
    """One day and version, with a link to the full report."""

    report: str
    """The full report, relative to this service's address. Where callers need a token, this link opens it without one,
    for an hour."""


class DriftHistory:
    """Reads the history in the store, and keeps the metrics that follow from it."""

    def __init__(self, open_store: Callable[[], Store], metrics: DriftMetrics, *, every_seconds: float) -> None:
        self._open_store = open_store
        self._metrics = metrics
        self._every = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="drift-history", daemon=True)

    def start(self) -> None:
        """Start the thread that updates the metrics."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; it does not wait for a read that is under way."""
        self._stopped.set()
        self._thread.join(timeout=1.0)

    def read(self) -> list[DaySummary]:
        """The reports of the last thirty days, oldest first; the metrics follow them.

        Raises:
            StoreError: the store is out of reach.
        """
        today = datetime.now(UTC).date()
        since = today - timedelta(days=SHOWN_DAYS)
        # A clock that was wrong may have left reports of future days.
        summaries = [summary for summary in read_history(self._open_store(), since) if summary.day <= today]
        self._metrics.show(summaries)
        return summaries

    def report(self, name: str) -> bytes:
        """A full report, by day and file name.

        Raises:
            MissingKeyError: there is none.
            StoreError: the store is out of reach.
        """
        return self._open_store().read(_key(name))

    def examples(self, name: str) -> list[Example]:
        """The images that a report shows; none where images are not kept, or not any more.

        Raises:
            MissingKeyError: that is no report's name.
            StoreError: the store is out of reach.
        """
        return read_examples(self._open_store(), _key(name))

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self.read()
            except StoreError as error:
                logger.warning("The history of drift cannot be read: {}", error)
            except Exception:  # noqa: BLE001 - this thread must live to try again
                logger.exception("The history of drift cannot be read")
            self._stopped.wait(self._every)


def _families(summaries: Sequence[DaySummary], reported: datetime) -> Iterator[Metric]:
    verdict = GaugeMetricFamily(
        "parking_drift_verdict",
        "1 for the verdict of the newest drift report.",
        labels=["model_version", "verdict"],
    )
    score = GaugeMetricFamily(
        "parking_drift_score",
        "How far a column moved on that day, in units of its limit.",
        labels=["model_version", "column"],
    )
    f1 = GaugeMetricFamily(
        "parking_feedback_f1", "F1 of the version's corrected answers over thirty days.", labels=["model_version"]
    )
    for summary in summaries:
        for name in get_args(Verdict):
            verdict.add_metric([summary.version, name], summary.verdict == name)
        for name, column in summary.columns.items():
            score.add_metric([summary.version, name], column.score / column.limit)
        if summary.performance:
            f1.add_metric([summary.version], summary.performance.f1)
    yield from (verdict, score, f1)
    yield GaugeMetricFamily(
        "parking_drift_reported_timestamp_seconds",
        "End of the last day with a drift report; the start of the process if there is none.",
        value=reported.timestamp(),
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _key(name: str) -> str:
    if not _REPORT.fullmatch(name):
        raise MissingKeyError(f"'{name}' is no report.")
    return f"{REPORT_PREFIX}{name}"


@router.get("/monitoring", include_in_schema=False)
async def page() -> FileResponse:
    """The page with the drift history."""
    return FileResponse(WEB / "monitoring.html", headers=HEADERS)


@router.get("/monitoring/nights", name="nights", dependencies=[Depends(caller)])
def days(request: Request) -> list[DayReport]:
    """The drift reports of the last thirty days, by day and version, oldest first."""
    settings: Settings = request.app.state.service.settings
    return [_with_link(summary, settings) for summary in _history(request).read()]


@router.get("/monitoring/reports/{day}/{name}", include_in_schema=False)
def report(request: Request, shown: Shown, day: str, name: str, until: int = 0, proof: str = "") -> Response:
    """A full report, as the monitoring run wrote it."""
    check_reader(request, shown, f"{REPORTS}{day}/{name}", until, proof)
    try:
        return Response(_history(request).report(f"{day}/{name}"), media_type="text/html", headers=_REPORT_HEADERS)
    except MissingKeyError as error:
        raise HTTPException(404, str(error)) from error


@router.get("/monitoring/reports/{day}/{name}/examples", include_in_schema=False, dependencies=[Depends(caller)])
def examples(request: Request, day: str, name: str) -> list[Example]:
    """The images least like those of the training, small, where they may be shown."""
    try:
        return _history(request).examples(f"{day}/{name}")
    except MissingKeyError as error:
        raise HTTPException(404, str(error)) from error


def _with_link(summary: DaySummary, settings: Settings) -> DayReport:
    report = summary.html.replace(REPORT_PREFIX, REPORTS, 1)
    return DayReport(**dict(summary), report=signed(report, settings) if report else "")


def _history(request: Request) -> DriftHistory:
    found: DriftHistory = request.app.state.service.drift_history
    return found
