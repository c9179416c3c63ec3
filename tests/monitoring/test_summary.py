"""The head of a report tells a person what was looked at, what moved, and what each number means."""

import re

import pytest

from monitoring.descriptors import meanings
from monitoring.drift import KINDS, Finding
from monitoring.drift_statistics import ColumnDrift
from monitoring.report import make_report
from monitoring.summary import summary
from tests.monitoring.rows import NOON


def column(name: str, score: float, missing: int = 0) -> ColumnDrift:
    return ColumnDrift(name, KINDS[name], score, 0.5, 0.4, 0.1, 0.35, 0.45, missing)


def shown(*columns: ColumnDrift, problems: tuple[str, ...] = (), version: str = "3") -> str:
    """What a person reads: the text of the page, its tags as spaces."""
    found = Finding("drift", "It is dark & <late>.", columns, rows=60, reference_rows=100)
    head = summary(make_report(found, None, problems, day=NOON.date(), version=version, part=""), sampled=60)
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", head, flags=re.DOTALL))


def test_version_day_verdict_and_reason_come_first() -> None:
    assert shown().strip().startswith("Version 3 on 2026-05-01 drift : It is dark &amp; &lt;late&gt;.")
    assert shown(version="").strip().startswith("No version, 2026-05-01")


def test_a_column_has_its_meaning_its_range_in_training_and_how_far_it_moved() -> None:
    text = shown(column("luminance", 2.0), column("confidence_mean", 0.1, missing=1200))
    assert (
        "luminance Mean brightness, 0 (black) to 1: night and underexposure lower it. 0.4 0.35 to 0.45 0.1 4.0" in text
    )
    assert "which is no low confidence.; 1,200 rows without a value" in text


@pytest.mark.parametrize("name", KINDS)
def test_every_column_that_is_judged_has_a_meaning(name: str) -> None:
    assert meanings()[name].endswith(".")


def test_every_column_that_moved_is_seen_and_the_calm_ones_unfold() -> None:
    moved = [column(name, 2.0) for name in list(KINDS)[:8]]
    calm = [column(name, 0.1) for name in list(KINDS)[8:]]
    before, after = shown(*moved, *calm).split(f"The other {len(calm)} columns")
    assert all(one.name.replace("_", " ") in before for one in moved)
    assert all(one.name.replace("_", " ") in after for one in calm)


def test_what_was_odd_about_the_log_is_told() -> None:
    assert "What was odd about the log: The rows of a.parquet are left out." in shown(
        problems=("The rows of a.parquet are left out.",)
    )
    assert "odd" not in shown()
