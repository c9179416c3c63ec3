"""The daily monitoring run over the inference log: a drift report for every model version that answered."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger

from monitoring.corrections import read_feedback
from monitoring.drift import DRIFT_SHARE, Comparison, Finding
from monitoring.evidently_workspace import WORKSPACE, evaluate, keep_run
from monitoring.examples import Example, find_examples
from monitoring.history import REPORT_PREFIX
from monitoring.performance import WINDOW_DAYS, Performance, performance_of
from monitoring.report import DriftReport, add_to_history, make_report, write_report
from monitoring.report_html import bare_page, page, summary
from monitoring.schema import log_state, read_parts, table_from_parquet
from parking.errors import MonitoringError, NoVersionError
from parking.registry import REFERENCE_FILE, Registry
from parking.settings import Settings
from parking.storage import Store

__all__ = ["REPORT_PREFIX", "DriftReport", "monitor_day"]


def monitor_day(
    store: Store,
    registry: Registry,
    settings: Settings,
    day: dt.date,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> list[DriftReport]:
    """Reports on the requests of one day (UTC), one report a version; running it again replaces the reports.

    A day without requests has one report, which says so. The log is read in parts: memory does not grow with the day.

    Args:
        store: holds the log, and takes the reports.
        registry: knows each version's reference.
        settings: thresholds, and the cache folder.
        day: to report on.
        since: only requests from this moment on; such a part of a day has reports of its own.
        until: only requests before this moment.

    Raises:
        RegistryError: MLflow cannot be reached.
        StoreError: the store refused.
    """
    run = _Run(store, registry, settings, _Window(day, since, until))
    # Before it is read: rows that come meanwhile make the day due again.
    state = log_state(store, day)
    batches, problems = run.read_log()
    for problem in problems:
        logger.warning(problem)
    feedback = list(read_feedback(store, day - dt.timedelta(days=WINDOW_DAYS)))
    reports = []
    for version, batch in sorted(batches.items()):
        report = run.report(version, batch, performance_of(feedback, version, day), problems)
        if run.window.is_whole_day:
            add_to_history(store, report, *state)
        reports.append(report)
    return reports


@dataclass
class _Batch:
    """One version's rows of a day, while they are read."""

    comparison: Comparison | None
    """Nothing where there is no reference."""
    reason: str = ""
    """Why there is no reference."""
    rows: int = 0

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        if self.comparison is not None:
            self.comparison.add(rows)


@dataclass(frozen=True)
class _Window:
    """A day, or a part of it."""

    day: dt.date
    since: dt.datetime | None
    until: dt.datetime | None

    @property
    def is_whole_day(self) -> bool:
        return self.since is None and self.until is None

    @property
    def suffix(self) -> str:
        """Of the report's keys, for a part of a day; empty for the whole day."""
        ends = (("from", self.since), ("to", self.until))
        return "".join(f"-{word}-{moment:%H%M%S}" for word, moment in ends if moment)

    def select(self, table: pa.Table) -> pa.Table:
        """The rows within it."""
        return _between(table, self.since, self.until)

    def count_strays(self, table: pa.Table) -> int:
        """Rows that carry the time of another day."""
        start = dt.datetime.combine(self.day, dt.time(), dt.UTC)
        return int(table.num_rows - _between(table, start, start + dt.timedelta(days=1)).num_rows)


@dataclass(frozen=True)
class _Run:
    """One run: what each of its steps needs, and the steps."""

    store: Store
    registry: Registry
    settings: Settings
    window: _Window

    def read_log(self) -> tuple[dict[str, _Batch], tuple[str, ...]]:
        """The rows by version, and the problems in the log; without any row, one empty batch of no version."""
        day = self.window.day
        batches: dict[str, _Batch] = {}
        problems: list[str] = []
        strays = 0
        for part in read_parts(self.store, day):
            problems += part.problems
            strays += self.window.count_strays(part.table)
            for version, rows in _by_version(self.window.select(part.table)):
                if version not in batches:
                    batches[version] = self._new_batch(version)
                batches[version].add(rows)
        if strays:
            problems.append(f"{strays} rows of {day} carry the time of another day: a clock jumped. They are counted.")
        return batches or {"": _Batch(None, f"No requests were logged on {day}.")}, tuple(problems)

    def report(
        self, version: str, batch: _Batch, performance: Performance | None, problems: tuple[str, ...]
    ) -> DriftReport:
        """Judge a batch, and write its report."""
        finding = with_feedback(self._judge(batch), performance, self.settings)
        report = make_report(
            finding, performance, problems, day=self.window.day, version=version, suffix=self.window.suffix
        )
        examples = self._examples(batch, finding)
        write_report(self.store, report, finding, self._html(batch, finding, report, examples), examples)
        return report

    def _new_batch(self, version: str) -> _Batch:
        """A batch to be compared with the version's own reference, or the reason why it cannot be."""
        try:
            return _Batch(Comparison(self._reference(version), seed=self.window.day.toordinal()))
        except (NoVersionError, MonitoringError) as error:
            return _Batch(None, str(error))

    def _reference(self, version: str) -> pa.Table:
        if not version:
            raise MonitoringError("Their log does not say which version answered.")
        found = self.registry.resolve(version)
        file = self.registry.fetch_extra(found, REFERENCE_FILE, self.settings.state_dir / "models")
        if file is None:
            raise MonitoringError(
                f"Version {version} was registered without {REFERENCE_FILE}; train it again to have one."
            )
        return table_from_parquet(file.read_bytes())

    def _judge(self, batch: _Batch) -> Finding:
        if batch.comparison is None:
            unjudged = f"{batch.rows} rows have nothing to be compared with. " if batch.rows else ""
            return Finding("insufficient_data", unjudged + batch.reason, rows=batch.rows)
        return batch.comparison.finding(
            min_rows=self.settings.drift_min_rows,
            threshold=self.settings.drift_threshold,
            share=DRIFT_SHARE,
        )

    def _examples(self, batch: _Batch, finding: Finding) -> list[Example]:
        """Images to show, where images are kept and may be shown."""
        if batch.comparison is None or not (self.settings.keep_images and self.settings.report_images):
            return []
        columns = {column.name: column for column in finding.columns}
        outliers = batch.comparison.outliers.rows
        return find_examples(self.store, outliers, columns, max_megapixels=self.settings.max_megapixels)

    def _html(self, batch: _Batch, finding: Finding, report: DriftReport, examples: Sequence[Example]) -> str:
        """The page; a whole day also joins the workspace in which Evidently shows trends."""
        if batch.comparison is None or not finding.columns:
            return bare_page(summary(report))
        sample = batch.comparison.sample.table
        snapshot = evaluate(finding, batch.comparison.reference, sample, DRIFT_SHARE, report.day)
        if self.window.is_whole_day:
            workspace = self.settings.state_dir / WORKSPACE
            try:
                keep_run(workspace, self.settings.model_name, snapshot, report.day, report.version)
            except Exception as error:  # noqa: BLE001 - Evidently's files may be damaged in any way; the report matters
                logger.warning("The run of {} is not in Evidently's workspace: {}", report.day, error)
        return page(summary(report, sample.num_rows, examples), snapshot)


def with_feedback(finding: Finding, performance: Performance | None, settings: Settings) -> Finding:
    """The verdict after corrections: `drift` where the F1 of corrected answers is below the floor, whatever the images.

    Args:
        finding: the verdict on images and predictions.
        performance: of the version, by corrections; nothing where there are none.
        settings: the floor, and how many corrections it takes.
    """
    if performance is None:
        return finding
    corrected = f" {performance.corrected} answers were corrected in {WINDOW_DAYS} days: F1 {performance.f1:.2f}"
    if performance.corrected < settings.drift_min_rows or performance.f1 >= settings.feedback_floor:
        return replace(finding, reason=f"{finding.reason}{corrected}.")
    corrected += f", below the floor of {settings.feedback_floor:g}."
    return replace(finding, verdict="drift", reason=finding.reason + corrected)


def _by_version(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    versions = table["model_version"].fill_null("")
    for version in sorted(pc.unique(versions).to_pylist()):
        yield version, table.filter(pc.equal(versions, version))


def _between(table: pa.Table, since: dt.datetime | None, until: dt.datetime | None) -> pa.Table:
    if since is not None:
        table = table.filter(pc.greater_equal(table["time"], pa.scalar(since, table["time"].type)))
    if until is not None:
        table = table.filter(pc.less(table["time"], pa.scalar(until, table["time"].type)))
    return table
