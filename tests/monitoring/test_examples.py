"""The images least like the training are shown where they may be, and no longer than they may be kept."""

import base64
import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring.answers import Answer, forget_answers, keep_answer
from monitoring.examples import MAX_EXAMPLES, examples_key, forget_examples, read_examples
from monitoring.nightly import monitor_day
from monitoring.report import DriftReport
from monitoring.schema import rows_to_table, table_to_parquet
from parking.data.domain_shift import apply_shift
from parking.data.imagery import encode_png, read_raster
from parking.data.synthetic import generate_scene
from parking.settings import Settings
from parking.storage import Store, open_store
from tests.monitoring.fake_registry import FakeRegistry
from tests.monitoring.rows import NOON, scene_row, scene_rows, write_rows

pytestmark = pytest.mark.e2e

DAY = NOON.date()
DARK = (57, 61)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state", keep_images=True, report_images=True)


def darkened(pixels: np.ndarray, seed: int) -> np.ndarray:
    return apply_shift(pixels, "night", seed)


def ask(store: Store, *, images: bool = True) -> None:
    """Sixteen requests of a day, two of them after dark."""
    rows = [scene_row(seed, darkened if seed in DARK else None) for seed in range(50, 66)]
    write_rows(store, rows, date=DAY)
    for seed, row in zip(range(50, 66), rows, strict=True):
        pixels = generate_scene(seed, 256).raster.pixels
        image = encode_png(darkened(pixels, seed) if seed in DARK else pixels)
        answer = Answer(request_id=row.request_id, time=NOON, model_version="1", width=256, height=256, spots=())
        keep_answer(store, answer, image if images else None)


def monitor(store: Store, settings: Settings) -> DriftReport:
    (report,) = monitor_day(
        store, FakeRegistry({"1": table_to_parquet(rows_to_table(scene_rows(range(40))))}), settings, DAY
    )
    return report


def test_the_report_begins_with_thumbnails_of_outliers(store: Store, settings: Settings) -> None:
    ask(store)
    report = monitor(store, settings)
    examples = read_examples(store, report.html)
    assert len(examples) == MAX_EXAMPLES
    assert {example.request_id for example in examples[:2]} == {f"scene-{seed}" for seed in DARK}
    page = store.read(report.html).decode()
    for example in examples:
        assert page.count(example.jpeg) == 1
        small = read_raster(base64.b64decode(example.jpeg))
        assert (small.width, small.height) == (240, 240)
    assert len(page) < 5_000_000


@pytest.mark.parametrize("off", ["keep_images", "report_images"])
def test_where_a_setting_forbids_it_no_image_is_shown(store: Store, settings: Settings, off: str) -> None:
    ask(store)
    report = monitor(store, settings.model_copy(update={off: False}))
    assert "data:image/jpeg" not in store.read(report.html).decode()
    assert not store.exists(examples_key(report.html))


def test_rows_whose_images_are_not_kept_or_no_images_are_passed_over(store: Store, settings: Settings) -> None:
    ask(store, images=False)
    kept = Answer(request_id="scene-50", time=NOON, model_version="1", width=256, height=256, spots=())
    keep_answer(store, kept, encode_png(generate_scene(50, 256).raster.pixels))
    keep_answer(store, kept.model_copy(update={"answer_id": "scene-57"}), b"\x89PNG torn")
    (only,) = read_examples(store, monitor(store, settings).html)
    assert only.request_id == "scene-50"


def test_an_image_that_was_asked_for_again_and_again_is_shown_once(store: Store, settings: Settings) -> None:
    image = encode_png(generate_scene(50, 256).raster.pixels)
    rows = [replace(scene_row(50), request_id=f"again-{number}") for number in range(16)]
    write_rows(store, rows, date=DAY)
    for row in rows:
        answer = Answer(request_id=row.request_id, time=NOON, model_version="1", width=256, height=256, spots=())
        keep_answer(store, answer, image)
    assert len(read_examples(store, monitor(store, settings).html)) == 1


def test_images_leave_the_reports_when_they_are_kept_no_longer(store: Store, settings: Settings) -> None:
    ask(store)
    report = monitor(store, settings)
    for days_later, gone in ((8, 0), (9, 1)):
        today = DAY + dt.timedelta(days=days_later)
        assert forget_examples(store, days=7, today=today) == gone
        assert bool(forget_answers(store, days=7, today=today)) == bool(gone), "both go on the same day"
    page = store.read(report.html).decode()
    assert "data:image/jpeg" not in page
    assert "<strong>" in page
    assert read_examples(store, report.html) == []
    assert forget_examples(store, days=7, today=DAY + dt.timedelta(days=30)) == 0


def test_a_day_compared_again_without_images_shows_none(store: Store, settings: Settings) -> None:
    ask(store)
    monitor(store, settings)
    forget_answers(store, days=7, today=DAY + dt.timedelta(days=30))
    report = monitor(store, settings)
    assert not store.exists(examples_key(report.html))
    assert "data:image/jpeg" not in store.read(report.html).decode()
