"""The nightly look at the inference log: a drift report for every model version that answered."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger

from monitoring.drift import Comparison, Finding
from monitoring.evidently_workspace import WORKSPACE, evaluate, keep_run
from monitoring.examples import Example, find_examples
from monitoring.feedback import read_feedback
from monitoring.history import REPORT_PREFIX
from monitoring.performance import DAYS, Performance, performance_of
from monitoring.report import NightReport, keep_in_history, keep_report, make_report
from monitoring.report_html import bare_page, page, summary
from monitoring.schema import log_keys, read_parts, table_from_parquet
from parking.errors import MonitoringError, NoVersionError
from parking.registry import REFERENCE_FILE, Registry
from parking.settings import Settings
from parking.storage import Store

__all__ = ["REPORT_PREFIX", "NightReport", "monitor_day"]


@dataclass
class _Batch:
    """One version's rows of a day, while they are read."""

    comparison: Comparison | None
    """Nothing, where there is no reference."""
    reason: str = ""
    """Why there is none."""
    rows: int = 0

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        if self.comparison is not None:
            self.comparison.add(rows)


def monitor_day(
    store: Store,
    registry: Registry,
    settings: Settings,
    day: dt.date,
    *,
    version: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> list[NightReport]:
    """Reports on the requests of one day (UTC), one report a version; running it again replaces the reports.

    A day without requests has one report too, which says so. The log is read some rows at a time, so that memory does
    not grow with the day.

    Args:
        store: holds the log, and takes the reports.
        registry: knows each version's reference.
        settings: thresholds, and the cache folder.
        day: which.
        version: only this one.
        since: only requests from this moment on; such a part of a day has reports of its own.
        until: only requests before this moment.

    Raises:
        RegistryError: MLflow cannot be reached.
        StoreError: the store refused.
    """
    files = len(log_keys(store, day))
    batches, problems = _read(store, registry, settings, day, since, until)
    if version is not None:
        batches = {version: batches[version]} if version in batches else {}
    for problem in problems:
        logger.warning(problem)
    part = "".join(f"-{word}-{moment:%H%M%S}" for word, moment in (("from", since), ("to", until)) if moment)
    if not batches:
        who = f" for version {version}" if version else ""
        batches = {version or "": _Batch(None, f"No requests were logged on {day}{who}.")}
    said = list(read_feedback(store, day - dt.timedelta(days=DAYS)))
    reports = []
    for name in sorted(batches):
        performance = performance_of(said, name, day)
        finding = _judge(batches[name], performance, settings)
        report = make_report(finding, performance, problems, day=day, version=name, part=part)
        examples = _examples(store, settings, batches[name], finding)
        html = _draw(batches[name], finding, report, examples, settings, whole=not part)
        keep_report(store, report, finding, html, examples)
        if not part:
            keep_in_history(store, report, files)
        reports.append(report)
    return reports


def _read(
    store: Store,
    registry: Registry,
    settings: Settings,
    day: dt.date,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> tuple[dict[str, _Batch], tuple[str, ...]]:
    """The day's rows by version, and what was wrong with its log."""
    batches: dict[str, _Batch] = {}
    problems: list[str] = []
    strays = 0
    for part in read_parts(store, day):
        problems += part.problems
        strays += part.table.num_rows - _on(part.table, day).num_rows
        for name, rows in _by_version(_within(part.table, since, until)):
            if name not in batches:
                batches[name] = _start(registry, settings, name, day)
            batches[name].add(rows)
    if strays:
        problems.append(f"{strays} rows of {day} carry the time of another day: a clock jumped. They are counted here.")
    return batches, tuple(problems)


def _by_version(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    names = table["model_version"].fill_null("")
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, table.filter(pc.equal(names, name))


def _on(table: pa.Table, day: dt.date) -> pa.Table:
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return _within(table, start, start + dt.timedelta(days=1))


def _within(table: pa.Table, since: dt.datetime | None, until: dt.datetime | None) -> pa.Table:
    if since is not None:
        table = table.filter(pc.greater_equal(table["time"], pa.scalar(since, table["time"].type)))
    if until is not None:
        table = table.filter(pc.less(table["time"], pa.scalar(until, table["time"].type)))
    return table


def _start(registry: Registry, settings: Settings, version: str, day: dt.date) -> _Batch:
    """A batch beside the version's own reference, or without one and with the reason."""
    try:
        return _Batch(Comparison(_reference(registry, settings, version), seed=day.toordinal()))
    except (NoVersionError, MonitoringError) as error:
        return _Batch(None, str(error))


def _reference(registry: Registry, settings: Settings, version: str) -> pa.Table:
    if not version:
        raise MonitoringError("Their log does not say which version answered.")
    found = registry.resolve(version)
    file = registry.fetch_extra(found, REFERENCE_FILE, settings.state_dir / "models")
    if file is None:
        raise MonitoringError(f"Version {version} was registered without {REFERENCE_FILE}; train it again to have one.")
    return table_from_parquet(file.read_bytes())


def _judge(batch: _Batch, performance: Performance | None, settings: Settings) -> Finding:
    """The verdict on images, answers and corrections together."""
    if batch.comparison is None:
        reason = f"{batch.rows} rows have nothing to be compared with. {batch.reason}" if batch.rows else batch.reason
        return heed(Finding("insufficient_data", reason, rows=batch.rows), performance, settings)
    finding = batch.comparison.finding(
        min_rows=settings.drift_min_rows, threshold=settings.drift_threshold, share=settings.drift_share
    )
    return heed(finding, performance, settings)


def _examples(store: Store, settings: Settings, batch: _Batch, finding: Finding) -> list[Example]:
    """Images to show, where images are kept and may be shown."""
    if batch.comparison is None or not (settings.keep_images and settings.report_images):
        return []
    columns = {column.name: column for column in finding.columns}
    return find_examples(store, batch.comparison.furthest.rows, columns, max_megapixels=settings.max_megapixels)


def _draw(
    batch: _Batch,
    finding: Finding,
    report: NightReport,
    examples: Sequence[Example],
    settings: Settings,
    *,
    whole: bool,
) -> str:
    """The page; a whole day also joins the workspace in which Evidently shows trends."""
    if batch.comparison is None or not finding.columns:
        return bare_page(summary(report))
    sample = batch.comparison.sample.table
    snapshot = evaluate(finding, batch.comparison.reference, sample, settings.drift_share, report.day)
    if whole:
        try:
            keep_run(settings.state_dir / WORKSPACE, settings.model_name, snapshot, report.day, report.version)
        except Exception as error:  # noqa: BLE001 - another program's files may be damaged in any way; the report matters
            logger.warning("The night of {} is not in Evidently's workspace: {}", report.day, error)
    return page(summary(report, sample.num_rows, examples), snapshot)


def heed(finding: Finding, performance: Performance | None, settings: Settings) -> Finding:
    """The verdict with what people say of the answers: below the floor it is `drift`, whatever the images look like."""
    if performance is None:
        return finding
    said = f" {performance.corrected} answers were corrected in {DAYS} days: F1 {performance.f1:.2f}"
    if performance.corrected < settings.drift_min_rows or performance.f1 >= settings.feedback_floor:
        return replace(finding, reason=f"{finding.reason}{said}.")
    said += f", below the floor of {settings.feedback_floor:g}."
    return replace(finding, verdict="drift", reason=finding.reason + said)
