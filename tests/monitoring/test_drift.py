"""The drift report: silent on more of the same, loud in darkness, haze and another season."""

import random

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from monitoring.drift import IMAGE_COLUMNS, KINDS, Finding, compare
from monitoring.drift_statistics import distance
from monitoring.evidently_workspace import evaluate
from monitoring.schema import LogRow, rows_to_table
from parking.data.domain_shift import apply_shift
from tests.monitoring.rows import Change, row, scene_rows

SCENES = range(96)


def report(reference: list[LogRow], current: list[LogRow]) -> Finding:
    return compare(rows_to_table(reference), rows_to_table(current), min_rows=12, threshold=0.5, share=0.4)


def split(rows: int, seed: int) -> tuple[list[int], list[int]]:
    """Scenes to train on, and others to ask about."""
    drawn = random.Random(seed).sample(SCENES, 48 + rows)
    return drawn[:48], drawn[48:]


def night(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    return apply_shift(pixels, "night", seed)


def haze(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    return apply_shift(pixels, "haze", seed)


def season(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    return apply_shift(pixels, "season", seed)


@pytest.mark.parametrize(("rows", "seed"), [(16, 0), (16, 1), (40, 3)])
def test_more_of_the_same_raises_no_alarm(rows: int, seed: int) -> None:
    reference, current = split(rows, seed)
    found = report(scene_rows(reference), scene_rows(current))
    assert found.verdict == "ok", found.reason
    assert found.rows == rows


@pytest.mark.parametrize(
    ("change", "telling", "rows"),
    [(night, "luminance", 16), (haze, "haze", 16), (season, "greenness", 16), (season, "greenness", 40)],
)
def test_changed_images_are_drift_and_the_reason_names_a_column(change: Change, telling: str, rows: int) -> None:
    reference, current = split(rows, seed=5)
    found = report(scene_rows(reference), scene_rows(current, change))
    assert found.verdict == "drift", found.reason
    assert telling in [column.name for column in found.columns if column.drifted]
    assert found.columns[0].name in found.reason


@pytest.mark.e2e
def test_scores_are_those_that_evidently_finds() -> None:
    reference, current = split(16, seed=6)
    found = report(scene_rows(reference), scene_rows(current))
    tables = rows_to_table(scene_rows(reference)), rows_to_table(scene_rows(current))
    metrics = evaluate(found, tables[0], tables[1], share=0.4).dict()["metrics"]
    theirs = {m["config"]["column"]: float(m["value"]) for m in metrics if "ValueDrift" in m["config"]["type"]}
    assert "confidence_mean" not in theirs, "no places, no confidence"
    assert theirs.keys() == {column.name for column in found.columns}
    for column in found.columns:
        sides = [np.array([getattr(r, column.name) for r in scene_rows(s)], float) for s in (reference, current)]
        assert column.score == pytest.approx(theirs[column.name], abs=0.002)
        assert column.score == pytest.approx(distance(*sides), abs=0.002)
        assert column.reference_mean == pytest.approx(sides[0].mean())
        assert column.current_mean == pytest.approx(sides[1].mean())


def test_the_numbers_for_machines_say_what_the_page_says() -> None:
    reference, current = split(16, seed=7)
    found = report(scene_rows(reference), scene_rows(current, night))
    assert (found.json["verdict"], found.json["rows"], found.json["reference_rows"]) == ("drift", 16, 48)
    names = {column["name"] for column in found.json["columns"] if column["kind"] == "image"}
    assert names == set(IMAGE_COLUMNS)
    assert all(column["drifted"] == (column["score"] >= column["limit"]) for column in found.json["columns"])


def test_images_of_another_size_are_not_drift() -> None:
    reference, current = split(16, seed=0)
    larger = [row_of_size(entry, 4000) for entry in scene_rows(current)]
    assert report(scene_rows(reference), larger).verdict == "ok"


def row_of_size(entry: LogRow, side: int) -> LogRow:
    return row(entry, width=side, height=side, megapixels=side * side / 1e6)


@pytest.mark.parametrize(("reference", "current"), [(48, 11), (11, 48), (48, 0)])
def test_too_few_rows_are_insufficient_data_and_not_ok(reference: int, current: int) -> None:
    found = report(scene_rows(range(reference)), scene_rows(range(current), night))
    assert found.verdict == "insufficient_data"
    assert f"{current} rows, compared with {reference} of the training," in found.reason
    assert "each side needs 12" in found.reason


def test_rows_without_any_known_value_are_insufficient_data() -> None:
    table = rows_to_table(scene_rows(range(16)))
    for name in KINDS:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.nulls(16, table.schema.field(at).type))
    found = compare(rows_to_table(scene_rows(range(48))), table, min_rows=12, threshold=0.5, share=0.4)
    assert (found.verdict, found.rows) == ("insufficient_data", 16)
    assert "No column has a value in at least 12 rows" in found.reason
