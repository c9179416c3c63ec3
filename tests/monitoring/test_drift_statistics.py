"""What is kept of a column while a day is read says as much as the whole column would."""

import numpy as np
import pytest

from monitoring.drift_statistics import Tally
from monitoring.effects import distance


@pytest.mark.parametrize("trained", [20, 1000])
@pytest.mark.parametrize("rows", [30, 3000])
@pytest.mark.parametrize("shift", [0.0, 0.3, 8.0, -8.0])
def test_the_distance_of_parts_is_that_of_the_whole_column(trained: int, rows: int, shift: float) -> None:
    rng = np.random.default_rng(trained + rows)
    reference, values = rng.gamma(2, size=trained), rng.gamma(2, size=rows) + shift
    tally = Tally(reference)
    for part in np.array_split(values, 7):
        tally.add(part)
    assert tally.distance() == pytest.approx(distance(reference, values), abs=0.002)
    assert tally.mean == pytest.approx(values.mean())
    assert (tally.rows, tally.known, tally.missing) == (rows, rows, 0)


def test_a_column_that_never_varied_is_compared_all_the_same() -> None:
    tally = Tally(np.zeros(12))
    tally.add(np.ones(3))
    assert tally.distance() == pytest.approx(distance(np.zeros(12), np.ones(3)))


def test_values_that_are_no_number_count_as_missing_and_change_nothing() -> None:
    tally = Tally(np.arange(10.0))
    tally.add(np.array([4.5, np.nan, np.inf, -np.inf]))
    assert (tally.rows, tally.known, tally.missing) == (4, 1, 3)
    assert tally.mean == 4.5
