"""What a verdict causes: a tag on the version, and perhaps a retrain."""

import datetime as dt
from collections.abc import Sequence

from monitoring.nightly import DriftReport
from parking.registry import PRODUCTION, Registry
from parking.settings import Settings

__all__ = ["DAY_TAG", "VERDICT_TAG", "is_retrain_due", "tag_version"]

VERDICT_TAG = "drift_verdict"
DAY_TAG = "drift_day"


def tag_version(registry: Registry, report: DriftReport) -> None:
    """Tag the version in the registry with the verdict, unless that of a later day is there.

    Raises:
        RegistryError: MLflow cannot be reached, or the version is gone.
    """
    version = registry.resolve(report.version)
    if version.tags.get(DAY_TAG, "") <= str(report.day):
        registry.tag(version.number, {VERDICT_TAG: report.verdict, DAY_TAG: str(report.day)})


def is_retrain_due(registry: Registry, settings: Settings, reports: Sequence[DriftReport], now: dt.datetime) -> bool:
    """Whether the serving version drifted, and no training has run since the cooldown began.

    Raises:
        RegistryError: MLflow cannot be reached.
    """
    versions = registry.history()
    serving = {str(version.number) for version in versions if PRODUCTION in version.aliases}
    drifted = {report.version for report in reports if report.verdict == "drift"}
    cooldown = dt.timedelta(days=settings.retrain_cooldown_days)
    trained = [version.created for version in versions if version.tags.get("origin") != "shipped"]
    return bool(serving & drifted) and all(now - created >= cooldown for created in trained)
