"""What follows from a verdict: a tag on the version, and whether a retrain is due."""

import datetime as dt
from collections.abc import Sequence

from monitoring.nightly import NightReport
from parking.registry import PRODUCTION, Registry
from parking.settings import Settings

VERDICT_TAG = "drift_verdict"
DAY_TAG = "drift_day"


def tag_version(registry: Registry, report: NightReport) -> None:
    """Note the verdict on the version itself, unless a later day's is there already.

    Raises:
        RegistryError: MLflow cannot be reached, or the version is gone.
    """
    version = registry.resolve(report.version)
    if version.tags.get(DAY_TAG, "") <= str(report.day):
        registry.tag(version.number, {VERDICT_TAG: report.verdict, DAY_TAG: str(report.day)})


def is_retrain_due(registry: Registry, settings: Settings, reports: Sequence[NightReport], now: dt.datetime) -> bool:
    """Whether drift of the serving version calls for a training: not where one has just seen newer images.

    Raises:
        RegistryError: MLflow cannot be reached.
    """
    versions = registry.history()
    serving = {str(version.number) for version in versions if PRODUCTION in version.aliases}
    drifted = {report.version for report in reports if report.verdict == "drift"}
    rest = dt.timedelta(days=settings.retrain_cooldown_days)
    trained = [version.created for version in versions if version.tags.get("origin") != "shipped"]
    return bool(serving & drifted) and all(now - created >= rest for created in trained)
