"""The nightly look at the inference log: a drift report for every model version that answered."""

import datetime as dt
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger

from monitoring.drift import DriftReport, compare, insufficient
from monitoring.effects import ColumnDrift, Verdict
from monitoring.schema import REFERENCE_FILE, read_rows, table_from_parquet
from parking.errors import MonitoringError, NoVersionError
from parking.registry import Registry
from parking.settings import Settings
from parking.storage import Store

REPORT_PREFIX = "reports/drift/"


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
    problems: tuple[str, ...]
    """Log files that could not be read; their rows are missing."""


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

    A day without requests has one report too, which says so.

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
    read = read_rows(store, day, version=version)
    rows = _within(read.table, since, until)
    for problem in read.problems:
        logger.warning(problem)
    answered = sorted(set(rows["model_version"].to_pylist())) or [version or ""]
    part = "".join(f"-{word}-{moment:%H%M%S}" for word, moment in (("from", since), ("to", until)) if moment)
    reports = []
    for name in answered:
        current = rows.filter(pc.equal(rows["model_version"], name))
        drift = _look(registry, settings, name, current, day)
        reports.append(_keep(store, drift, day, name, part, read.problems))
    return reports


def _within(table: pa.Table, since: dt.datetime | None, until: dt.datetime | None) -> pa.Table:
    if since is not None:
        table = table.filter(pc.greater_equal(table["time"], pa.scalar(since, table["time"].type)))
    if until is not None:
        table = table.filter(pc.less(table["time"], pa.scalar(until, table["time"].type)))
    return table


def _look(registry: Registry, settings: Settings, version: str, current: pa.Table, day: dt.date) -> DriftReport:
    """Compares with the version's own reference, or says why that cannot be done."""
    if current.num_rows == 0:
        return insufficient(f"No requests were logged on {day}{f' for version {version}' if version else ''}.")
    try:
        reference = _reference(registry, settings, version)
    except (NoVersionError, MonitoringError) as error:
        return insufficient(f"{current.num_rows} rows have nothing to be compared with. {error}", current.num_rows)
    return compare(
        reference,
        current,
        min_rows=settings.drift_min_rows,
        threshold=settings.drift_threshold,
        share=settings.drift_share,
    )


def _reference(registry: Registry, settings: Settings, version: str) -> pa.Table:
    found = registry.resolve(version)
    file = registry.fetch_extra(found, REFERENCE_FILE, settings.state_dir / "models")
    if file is None:
        raise MonitoringError(f"Version {version} was registered without {REFERENCE_FILE}; train it again to have one.")
    return table_from_parquet(file.read_bytes())


def _keep(
    store: Store, drift: DriftReport, day: dt.date, version: str, part: str, problems: tuple[str, ...]
) -> NightReport:
    """Writes page, numbers and, for a whole day, its row of the history."""
    name = f"v{version or 'none'}"
    base = f"{REPORT_PREFIX}{day}/{name}{part}"
    numbers = {"day": str(day), "version": version, **drift.json, "problems": problems}
    store.write(f"{base}.html", drift.html.encode())
    store.write(f"{base}.json", json.dumps(numbers, indent=2).encode())
    if not part:
        scores = {column["name"]: column["score"] for column in drift.json["columns"]}
        row = {key: numbers[key] for key in ("day", "version", "verdict", "reason", "rows")} | {"scores": scores}
        store.write(f"{REPORT_PREFIX}history/{day}-{name}.json", json.dumps(row).encode())
    return NightReport(
        day=day,
        version=version,
        verdict=drift.verdict,
        reason=drift.reason,
        rows=drift.rows,
        columns=drift.columns,
        html=f"{base}.html",
        json_key=f"{base}.json",
        problems=problems,
    )
