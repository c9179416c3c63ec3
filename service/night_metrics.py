"""The last night that was looked at, as Prometheus reads it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.drift_statistics import Verdict
from monitoring.history import DaySummary


class NightMetrics(Collector):
    """Shows one night at a time, and always a whole one: a scrape may come at any moment.

    Gauges that are cleared and set again are for a while those of no night, or of half of one. So a night is put
    together aside, and then takes the place of the one before by one reference.
    """

    def __init__(self) -> None:
        # Until there is a report, the wait for one began with this process.
        self._shown = tuple(_families((), datetime.now(UTC)))

    def show(self, nights: Sequence[DaySummary]) -> None:
        """Show the latest of these, every version of it; with none, what was shown stays."""
        latest = max((night.day for night in nights), default=None)
        if latest is not None:
            self._shown = tuple(_families([night for night in nights if night.day == latest], _end_of(latest)))

    def collect(self) -> Iterable[Metric]:
        """What is shown, for a scrape."""
        return self._shown


def _families(nights: Sequence[DaySummary], reported: datetime) -> Iterator[Metric]:
    verdict = GaugeMetricFamily(
        "parking_drift_verdict",
        "1 for the verdict of the last night that was looked at.",
        labels=["model_version", "verdict"],
    )
    score = GaugeMetricFamily(
        "parking_drift_score",
        "How far a column moved in that night, in units of its limit.",
        labels=["model_version", "column"],
    )
    f1 = GaugeMetricFamily(
        "parking_feedback_f1", "F1 of the version's corrected answers over thirty days.", labels=["model_version"]
    )
    for night in nights:
        for name in get_args(Verdict):
            verdict.add_metric([night.version, name], night.verdict == name)
        for name, column in night.columns.items():
            score.add_metric([night.version, name], column.score / column.limit)
        if night.performance:
            f1.add_metric([night.version], night.performance.f1)
    yield from (verdict, score, f1)
    yield GaugeMetricFamily(
        "parking_drift_reported_timestamp_seconds",
        "End of the last day that was looked at; the start of the process where none was.",
        value=reported.timestamp(),
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
