"""When a column has moved: further than what matters, and further than chance; read in parts, it gives the same."""

import numpy as np
import pytest

from monitoring.drift_statistics import ColumnDrift, Kind, StreamingWasserstein, distance, drift_limit, judge, shown


def column(name: str, excess: float, kind: Kind = "image") -> ColumnDrift:
    return ColumnDrift(
        name,
        kind,
        score=excess * 0.5,
        limit=0.5,
        reference_mean=0.0,
        current_mean=0.0,
        reference_low=-1.0,
        reference_high=1.0,
    )


def columns(*excesses: float, kind: Kind = "image") -> list[ColumnDrift]:
    return [column(f"{kind}-{n}", excess, kind) for n, excess in enumerate(excesses)]


def test_distance_is_in_units_of_the_references_spread() -> None:
    reference = np.array([0.0, 2.0, 4.0])
    assert distance(reference, reference + 3) == pytest.approx(3 / reference.std())


def test_fewer_rows_have_to_move_further() -> None:
    reference = np.random.default_rng(0).normal(size=100)
    few, some, many = (drift_limit(reference, rows, threshold=0.3) for rows in (12, 40, 1000))
    assert few > 1.4 * some > 0.3
    assert many == pytest.approx(0.3, abs=0.1)


def test_the_threshold_is_the_least_that_counts() -> None:
    assert drift_limit(np.random.default_rng(0).normal(size=100), 1000, threshold=2.0) == 2.0


def test_batches_of_the_same_kind_stay_under_the_limit() -> None:
    rng = np.random.default_rng(1)
    over = 0
    for _ in range(100):
        reference, batch = rng.gamma(2, size=60), rng.gamma(2, size=16)
        over += distance(reference, batch) >= drift_limit(reference, 16, threshold=0.1, rounds=100)
    assert over <= 6


@pytest.mark.parametrize(
    ("excesses", "verdict"),
    [
        ((0.9,) * 10, "ok"),
        ((1.2,) + (0.5,) * 9, "ok"),
        ((1.2,) * 2 + (0.5,) * 8, "warning"),
        ((1.2,) * 4 + (0.5,) * 6, "drift"),
        ((1.6,) + (0.5,) * 9, "drift"),
    ],
)
def test_images_drift_by_many_columns_or_by_one_that_moved_far(excesses: tuple[float, ...], verdict: str) -> None:
    assert judge(columns(*excesses), share=0.4) == verdict


def test_predictions_that_drift_alone_are_a_warning() -> None:
    still = columns(*(0.5,) * 10)
    assert judge([*still, *columns(3.0, 3.0, kind="prediction")], share=0.4) == "warning"
    assert judge([*still, *columns(0.5, 0.5, kind="prediction")], share=0.4) == "ok"


def test_embeddings_drift_by_several_components_and_not_by_one() -> None:
    still = columns(0.1, 0.1, 0.1)
    rest = columns(*[0.1] * 6, kind="embedding")
    assert judge([*still, *rest, *columns(1.1, 1.1, 1.1, 1.1, kind="embedding")], share=0.4) == "drift"
    assert judge([*still, *rest, *columns(1.1, 1.1, kind="embedding")], share=0.4) == "warning"
    assert judge([*still, *rest, *columns(3.0, kind="embedding")], share=0.4) == "ok"


@pytest.mark.parametrize("trained", [20, 1000])
@pytest.mark.parametrize("rows", [30, 3000])
@pytest.mark.parametrize("shift", [0.0, 0.3, 8.0, -8.0])
def test_the_distance_of_parts_is_that_of_the_whole_column(trained: int, rows: int, shift: float) -> None:
    rng = np.random.default_rng(trained + rows)
    reference, values = rng.gamma(2, size=trained), rng.gamma(2, size=rows) + shift
    streamed = StreamingWasserstein(reference)
    for part in np.array_split(values, 7):
        streamed.add(part)
    assert streamed.distance() == pytest.approx(distance(reference, values), abs=0.002)
    assert streamed.mean == pytest.approx(values.mean())
    assert (streamed.rows, streamed.known, streamed.missing) == (rows, rows, 0)


def test_a_column_that_never_varied_is_compared_all_the_same() -> None:
    streamed = StreamingWasserstein(np.zeros(12))
    streamed.add(np.ones(3))
    assert streamed.distance() == pytest.approx(distance(np.zeros(12), np.ones(3)))


def test_values_that_are_no_number_count_as_missing_and_change_nothing() -> None:
    streamed = StreamingWasserstein(np.arange(10.0))
    streamed.add(np.array([4.5, np.nan, np.inf, -np.inf]))
    assert (streamed.rows, streamed.known, streamed.missing) == (4, 1, 3)
    assert streamed.mean == 4.5


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (-1.29e-15, -1.6, 1.6, "0"),
        (0.0, 0.0, 0.0, "0"),
        (7.83, 2, 20, "7.83"),
        (0.5617, 2, 20, "0.562"),
        (123456.7, 1e5, 2e5, "123457"),
        (1.5e-5, 1e-5, 2e-5, "0.0000150"),
        (-0.25, -1, 1, "-0.25"),
    ],
)
def test_a_value_is_shown_with_three_digits_and_without_an_exponent(
    value: float, low: float, high: float, said: str
) -> None:
    assert shown(value, low, high) == said
