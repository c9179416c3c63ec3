"""The interval of a count holds the truth as often as it says, and is wider where the map is blurred."""

import numpy as np
import pytest

from parking.detection.contract import CountCalibration
from parking.detection.count import LEAST_DISPERSION, count_interval, map_uncertainty


def test_the_interval_of_a_plain_count_is_the_score_interval() -> None:
    # z = 1.2816 at 80 %; for 12: 12 + 0.821 -+ sqrt(1.642 * 12 + 0.674) = 8.3 .. 17.3
    assert count_interval(12, CountCalibration()) == (8, 18)
    assert count_interval(0, CountCalibration()) == (0, 2)


def test_the_interval_follows_its_calibration() -> None:
    plain = count_interval(50, CountCalibration())
    wider = count_interval(50, CountCalibration(dispersion=4))
    moved = count_interval(50, CountCalibration(ratio=1.5))
    assert wider[0] < plain[0] < plain[1] < wider[1]
    assert moved[0] <= 75 <= moved[1]
    assert count_interval(50, CountCalibration(), level=0.95)[1] > plain[1]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for count in rng.poisson(20, 2000):
        low, high = count_interval(int(count), CountCalibration())
        held += low <= 20 <= high
    assert 0.78 <= held / 2000 <= 0.92


def test_an_image_whose_map_is_blurred_gets_a_wider_interval() -> None:
    calibration = CountCalibration(dispersion=2, by_uncertainty=10)
    sharp, blurred = (count_interval(20, calibration, uncertainty=level) for level in (0.05, 0.4))
    assert blurred[0] < sharp[0] < sharp[1] < blurred[1]
    assert count_interval(20, calibration, uncertainty=0.2) == count_interval(20, calibration)


def test_without_a_map_or_its_calibration_the_dispersion_holds() -> None:
    plain = count_interval(20, CountCalibration(dispersion=2))
    assert count_interval(20, CountCalibration(dispersion=2), uncertainty=0.9) == plain
    assert count_interval(20, CountCalibration(dispersion=2, by_uncertainty=10)) == plain


def test_a_map_that_is_all_sure_does_not_shrink_the_interval_to_nothing() -> None:
    calibration = CountCalibration(by_uncertainty=10)
    least = count_interval(50, CountCalibration(dispersion=LEAST_DISPERSION))
    assert count_interval(50, calibration, uncertainty=0.0) == least
    assert least[0] < 50 < least[1]


@pytest.mark.parametrize(("level", "expected"), [(1.0, 0.0), (0.9, 0.1), (0.25, 0.75)])
def test_a_map_of_one_level_is_as_uncertain_as_a_draw_of_it(level: float, expected: float) -> None:
    assert map_uncertainty(np.full((40, 30), level, np.float32)) == pytest.approx(expected)


def test_ground_that_is_surely_not_free_does_not_count() -> None:
    patch = np.full((40, 30), 0.9, np.float16)
    framed = np.pad(patch, 200)
    assert map_uncertainty(framed) == pytest.approx(map_uncertainty(patch), abs=1e-3)


def test_a_map_that_expects_nothing_says_nothing_of_how_many_there_are() -> None:
    assert map_uncertainty(np.zeros((20, 20), np.float32)) == 1
