"""Every metric against a value worked out by hand."""

import numpy as np
import pytest

from parking.learning import metrics
from parking.learning.metrics import Histogram, PixelCounts
from tests.parking.learning.scenes import box

COUNTS = PixelCounts(tp=6, fp=2, fn=4, tn=88)


def test_pixel_counts_are_those_of_the_two_masks() -> None:
    found = np.array([[True, True, False, False]])
    true = np.array([[True, False, True, False]])
    assert PixelCounts.of(found, true) == PixelCounts(1, 1, 1, 1)


def test_ratios_are_those_worked_out_by_hand() -> None:
    assert metrics.iou(COUNTS) == pytest.approx(6 / 12)
    assert metrics.dice(COUNTS) == pytest.approx(12 / 18)
    assert metrics.precision(COUNTS) == pytest.approx(6 / 8)
    assert metrics.recall(COUNTS) == pytest.approx(6 / 10)


def test_counts_are_summed_before_a_ratio_is_taken() -> None:
    other = PixelCounts(tp=0, fp=0, fn=8, tn=92)
    assert metrics.iou(COUNTS + other) == pytest.approx(6 / 20)


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "iou"),
    [(PixelCounts(tn=9), 1, 1, 1), (PixelCounts(fn=3), 0, 0, 0), (PixelCounts(fp=3), 0, 0, 0)],
    ids=["nothing there, nothing found", "nothing found", "nothing there"],
)
def test_empty_sides_have_defined_scores(counts: PixelCounts, precision: float, recall: float, iou: float) -> None:
    assert metrics.precision(counts) == precision
    assert metrics.recall(counts) == recall
    assert metrics.iou(counts) == iou


def histogram() -> Histogram:
    """Free pixels at 0.9, 0.8 and 0.3; others at 0.8, 0.1 and 0.1."""
    probability = np.array([[0.9, 0.8, 0.3, 0.8, 0.1, 0.1]], np.float32)
    return Histogram.of(probability, np.array([[True, True, True, False, False, False]]))


@pytest.mark.parametrize(
    ("threshold", "counts"),
    [(0.0, (3, 3, 0, 0)), (0.8, (2, 1, 1, 2)), (0.801, (1, 0, 2, 3)), (0.9, (1, 0, 2, 3)), (0.95, (0, 0, 3, 3))],
)
def test_a_histogram_counts_pixels_from_the_threshold_on(threshold: float, counts: tuple[int, ...]) -> None:
    assert histogram().counts(threshold) == PixelCounts(*counts)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_pixel_is_found_at_its_own_thousandth(kind: type[np.floating]) -> None:
    for k in range(0, metrics.BINS, 50):
        one = Histogram.of(np.full((1, 1), k / metrics.BINS, kind), np.ones((1, 1), np.bool_))
        assert one.counts(k / metrics.BINS).tp == 1


def test_pr_auc_is_the_average_precision() -> None:
    # By falling probability: 0.9 (1 of 1), 0.8 (2 of 3), 0.3 (3 of 4): a third of the recall each.
    assert histogram().pr_auc() == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_pr_auc_of_nothing_is_zero() -> None:
    assert Histogram.empty().pr_auc() == 0


def test_the_best_threshold_has_the_largest_iou_and_lies_amid_its_equals() -> None:
    # From 0.101 to 0.3 on: 3 hits and 1 false, 3/4; from 0.301 to 0.8: 2 hits of a union of 4.
    threshold, iou = histogram().best_threshold()
    assert iou == pytest.approx(3 / 4)
    assert threshold == pytest.approx(0.2, abs=0.002)


def test_the_calibration_error_of_places_is_worked_out_by_hand() -> None:
    # By tenths: 0.91 and 1.0, both right; 0.89, wrong; 0.6, right.
    error = metrics.calibration_error([0.91, 0.89, 0.6, 1.0], [True, False, True, True])
    assert error == pytest.approx((abs(0.91 + 1.0 - 2) + 0.89 + 0.4) / 4)
    assert metrics.calibration_error([], []) == 0


def test_ece_is_the_gap_between_promise_and_outcome() -> None:
    probability = np.array([[0.8] * 4 + [0.1] * 6], np.float32)
    mask = np.array([[True, True] + [False] * 8])
    # Four pixels promise 0.8 and keep 0.5; six promise 0.1 and keep 0.
    assert Histogram.of(probability, mask).ece() == pytest.approx((4 * 0.3 + 6 * 0.1) / 10, abs=1e-3)


def test_objects_match_one_to_one() -> None:
    true = [box(0, 0, 10, 10), box(100, 0, 10, 10)]
    # Both overlap the first place, by 10/10 and by 8/10; nothing is near the second.
    found = [box(0, 0, 10, 10), box(0, 0, 10, 8), box(50, 50, 10, 10)]
    assert metrics.match(found, true, 0.5) == (1, 2, 1)


@pytest.mark.parametrize(("iou", "matched"), [(0.25, (1, 0, 0)), (0.5, (0, 1, 1))])
def test_objects_match_from_the_overlap_asked(iou: float, matched: tuple[int, int, int]) -> None:
    # 5 x 10 in common of 15 x 10: a third.
    assert metrics.match([box(0, 0, 10, 10)], [box(5, 0, 10, 10)], iou) == matched


def test_objects_of_nothing_are_all_missed_or_all_false() -> None:
    assert metrics.match([], [box(0, 0, 5, 5)], 0.5) == (0, 0, 1)
    assert metrics.match([box(0, 0, 5, 5)], [], 0.5) == (0, 1, 0)


def test_a_ring_that_crosses_itself_is_matched_and_not_an_error() -> None:
    bow = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))
    assert metrics.match([bow], [box(0, 0, 10, 10)], 0.4) == (1, 0, 0)


def test_count_errors_are_those_worked_out_by_hand() -> None:
    mae, rmse, bias = metrics.count_errors([3, 5, 2], [4, 2, 4])
    assert mae == pytest.approx(2)
    assert rmse == pytest.approx((14 / 3) ** 0.5)
    assert bias == pytest.approx(0)
    assert metrics.count_errors([3], [4])[2] == pytest.approx(-0.25)


def test_an_object_that_is_matched_takes_no_second() -> None:
    true = [box(0, 0, 11, 10), box(11, 0, 9, 10)]
    # The first overlaps both, by 11/20 and by 9/20; the second place is left for the other, which has 3/9 of it.
    found = [box(0, 0, 20, 10), box(11, 0, 3, 10)]
    assert metrics.match(found, true, 0.3) == (2, 0, 0)
