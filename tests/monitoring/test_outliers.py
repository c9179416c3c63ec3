"""Of however many rows, those furthest from the training are kept, each with its most extreme column."""

import numpy as np
import pyarrow as pa
import pytest

from monitoring.drift import IMAGE_COLUMNS, Comparison
from monitoring.outliers import MAX_OUTLIERS
from monitoring.schema import rows_to_table
from tests.monitoring.rows import row, scene_rows


def comparison() -> Comparison:
    return Comparison(rows_to_table(scene_rows(range(40))))


def test_outliers_are_in_falling_order_each_with_its_most_extreme_column() -> None:
    asked = scene_rows(range(50, 70))
    asked[3] = row(asked[3], request_id="night", luminance=0.0, luminance_spread=0.0)
    asked[9] = row(asked[9], request_id="lawn", greenness=1.0)
    batch = comparison()
    batch.add(rows_to_table(asked))
    first, second = batch.outliers.rows[:2]
    assert {first.request_id, second.request_id} == {"night", "lawn"}
    told = {far.request_id: (far.column, far.value) for far in (first, second)}
    assert told["lawn"] == ("greenness", 1.0)
    assert told["night"][0] in {"luminance", "luminance_spread"}
    assert first.distance > second.distance > batch.outliers.rows[2].distance


def test_parts_of_a_day_name_the_same_rows_as_the_whole() -> None:
    table = rows_to_table(scene_rows(range(50, 130)))
    whole, parts = comparison(), comparison()
    whole.add(table)
    for start in range(0, table.num_rows, 7):
        parts.add(table.slice(start, 7))
    assert parts.outliers.rows == whole.outliers.rows
    assert len(whole.outliers.rows) == MAX_OUTLIERS


def test_missing_values_make_no_row_an_outlier() -> None:
    table = rows_to_table(scene_rows(range(50, 54)))
    for name in IMAGE_COLUMNS[1:]:
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([None, np.inf, np.nan, 0.0]))
    batch = comparison()
    batch.add(table)
    known = {far.request_id: far.distance for far in batch.outliers.rows}
    trained = rows_to_table(scene_rows(range(40)))["luminance"].to_numpy()
    away = abs(scene_rows([50])[0].luminance - trained.mean()) / trained.std()
    assert known["scene-50"] == pytest.approx(away)


def test_rows_that_nothing_is_known_of_and_rows_without_an_id_are_passed_over() -> None:
    table = rows_to_table([row(request_id=""), *scene_rows([51])])
    for name in IMAGE_COLUMNS:
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([1e9, None]))
    batch = comparison()
    batch.add(table)
    assert batch.outliers.rows == []
