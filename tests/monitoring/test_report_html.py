"""The report as a person opens it: one file that needs no network, small however much is in it.

Its summary says what was compared, what moved, and what each number means.
"""

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from monitoring.descriptors import meanings
from monitoring.drift import KINDS, Comparison, Finding
from monitoring.drift_statistics import ColumnDrift
from monitoring.evidently_workspace import evaluate
from monitoring.examples import MAX_EXAMPLES, Example
from monitoring.report import make_report
from monitoring.report_html import bare_page, page, summary
from monitoring.reservoir import MAX_ROWS
from monitoring.schema import LOG_SCHEMA, rows_to_table
from tests.monitoring.rows import NOON, scene_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LARGE_JPEG = base64.b64encode(bytes(25_000)).decode()


def table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    """So many rows with a value in every column, no two of them alike."""
    rng = np.random.default_rng(seed)
    made = rows_to_table(scene_rows(range(4))).take(rng.integers(0, 4, rows))
    for name in KINDS:
        drawn = rng.normal(shift, 1, rows) if LOG_SCHEMA.field(name).type == pa.float64() else rng.poisson(9, rows)
        made = made.set_column(made.schema.get_field_index(name), name, pa.array(drawn))
    return made


def head(found: Finding, sampled: int = 0, examples: tuple[Example, ...] = ()) -> str:
    report = make_report(found, None, (), day=NOON.date(), version="1")
    return summary(report, sampled, examples)


def example(column: ColumnDrift) -> Example:
    told = {"request_id": "a", "time": NOON, "column": column.name, "value": 0.5, "trained": (0.25, 0.75)}
    return Example.model_validate({**told, "jpeg": LARGE_JPEG})


@pytest.fixture(scope="module")
def shown() -> str:
    """The largest page: every column there is, as many rows as are drawn, as many images as are shown."""
    batch = Comparison(table(300, seed=1))
    batch.add(table(MAX_ROWS + 760, seed=2, shift=1.5))
    found = batch.finding(min_rows=12, threshold=0.5, share=0.4)
    assert {column.name for column in found.columns} == set(KINDS)
    sample = batch.sample.table
    examples = (example(found.columns[0]),) * MAX_EXAMPLES
    return page(head(found, sample.num_rows, examples), evaluate(found, batch.reference, sample, share=0.4))


@pytest.mark.e2e
def test_it_needs_no_network_stays_small_and_says_that_it_shows_a_sample(shown: str) -> None:
    assert "all 5,760 rows; the charts below show 5,000" in shown
    assert len(shown.encode()) < 5e6
    assert "<strong>drift</strong>: " in shown
    assert 'src="http' not in shown


@pytest.mark.e2e
def test_numbers_have_as_many_digits_as_a_chart_shows(shown: str) -> None:
    data = shown[: shown.index("<body>")]
    assert "white_line_share" in data
    assert not re.findall(r"\d\.\d{9,}", data)


def test_a_column_opens_and_shows_its_chart(shown: str, browser: "Browser", tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(shown)
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    opened.goto((tmp_path / "report.html").as_uri())
    opened.get_by_text("Data Drift Summary").wait_for()
    row = opened.locator("tr", has_text="Wasserstein distance").first
    before = opened.locator(".js-plotly-plot").count()
    row.locator("button").first.click()
    opened.wait_for_function("before => document.querySelectorAll('.js-plotly-plot').length > before", arg=before)
    opened.close()
    assert problems == []


def test_a_batch_without_a_comparison_has_a_page_that_says_so() -> None:
    assert "insufficient data" in bare_page(head(Finding("insufficient_data", "Too few.")))


def column(name: str, score: float, missing: int = 0) -> ColumnDrift:
    return ColumnDrift(name, KINDS[name], score, 0.5, 0.4, 0.1, 0.35, 0.45, missing)


def text_of(*columns: ColumnDrift, problems: tuple[str, ...] = (), version: str = "3") -> str:
    """What a person reads: the text of the page, its tags as spaces."""
    found = Finding("drift", "It is dark & <late>.", columns, rows=60, reference_rows=100)
    head = summary(make_report(found, None, problems, day=NOON.date(), version=version), sampled=60)
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", head, flags=re.DOTALL))


def test_version_day_verdict_and_reason_come_first() -> None:
    assert text_of().strip().startswith("Version 3 on 2026-05-01 ✗ drift : It is dark &amp; &lt;late&gt;.")
    assert text_of(version="").strip().startswith("No version, 2026-05-01")


def test_a_column_has_its_meaning_its_range_in_training_and_how_far_it_moved() -> None:
    text = text_of(column("luminance", 2.0), column("confidence_mean", 0.1, missing=1200))
    assert (
        "luminance Mean brightness, 0 (black) to 1: night and underexposure lower it. 0.4 0.35 to 0.45 0.1 4.0" in text
    )
    assert "which is no low confidence.; 1,200 rows without a value" in text


@pytest.mark.parametrize("name", KINDS)
def test_every_column_that_is_judged_has_a_meaning(name: str) -> None:
    assert meanings()[name].endswith(".")


def test_every_column_that_moved_is_shown_and_the_others_unfold() -> None:
    moved = [column(name, 2.0) for name in list(KINDS)[:8]]
    calm = [column(name, 0.1) for name in list(KINDS)[8:]]
    before, after = text_of(*moved, *calm).split(f"The other {len(calm)} columns")
    assert all(one.name.replace("_", " ") in before for one in moved)
    assert all(one.name.replace("_", " ") in after for one in calm)


def test_problems_in_the_log_are_shown() -> None:
    assert "Problems in the log: The rows of a.parquet are left out." in text_of(
        problems=("The rows of a.parquet are left out.",)
    )
    assert "Problems" not in text_of()
