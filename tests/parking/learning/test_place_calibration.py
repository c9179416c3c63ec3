"""How sure places are, against how often they are free."""

import math
from dataclasses import replace

import numpy as np
import pytest

from parking.detection.confidence import confidence_of
from parking.detection.contract import AS_PREDICTED, PlaceCalibration
from parking.learning.place_calibration import calibrate_places, place_evidence
from parking.learning.scene_prediction import ScenePrediction
from tests.doubles import contract
from tests.parking.learning.scenes import box, make_sample, predicted

CONTRACT = contract(gsd=0.15, threshold=0.5, min_area_m2=1.0, place=PlaceCalibration(slope=2.0, offset=1.0))
PLACE, ELSEWHERE = box(10, 10, 17, 33), box(60, 50, 17, 33)


def drawn(calibration: PlaceCalibration, places: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Places whose means are anywhere, and which are free as often as a calibration says."""
    rng = np.random.default_rng(3)
    odds = rng.uniform(-1, 4, places)
    sure = 1 / (1 + np.exp(-calibration.slope * odds - calibration.offset))
    return np.stack([odds, rng.random(places) < sure], axis=1)


def test_a_model_that_is_too_sure_is_found_out() -> None:
    truth = PlaceCalibration(slope=0.7, offset=-0.9)
    found = calibrate_places([drawn(truth, 4000)])
    assert found.slope == pytest.approx(truth.slope, abs=0.08)
    assert found.offset == pytest.approx(truth.offset, abs=0.12)


def test_little_evidence_changes_little_and_none_nothing() -> None:
    assert calibrate_places([]) == AS_PREDICTED
    one_wrong = calibrate_places([np.array([[2.0, 0.0]])])
    assert one_wrong.slope > 0.3
    assert confidence_of(0.9, one_wrong) > 0.5


def test_a_surer_place_stays_the_surer_one_whatever_the_evidence() -> None:
    upside_down = np.array([[-2.0, 1.0], [3.0, 0.0]] * 200)
    calibration = calibrate_places([upside_down])
    assert confidence_of(0.9, calibration) > confidence_of(0.6, calibration)


def test_evidence_is_the_mean_as_predicted_and_whether_the_ground_is_free() -> None:
    sample = make_sample(0, rings=(PLACE,))
    evidence = place_evidence(predicted(sample, (PLACE, ELSEWHERE), 0.8), CONTRACT)
    assert evidence[:, 1].tolist() == [1, 0]
    assert evidence[:, 0] == pytest.approx(math.log(4), abs=0.01)


def test_each_place_of_a_row_that_was_drawn_as_one_is_free() -> None:
    row = box(10, 10, 17 * 3, 33)
    sample = make_sample(0, rings=(row,))
    probability = np.where(sample.mask, 0.9, 0.0).astype(np.float32)
    evidence = place_evidence(ScenePrediction(sample.name, probability, sample), CONTRACT)
    assert evidence[:, 1].tolist() == [1, 1, 1]


def test_a_scene_in_which_nobody_looked_for_places_is_no_evidence() -> None:
    sample = make_sample(0, rings=(PLACE,))
    unsaid = replace(sample, scene=sample.scene.model_copy(update={"annotated": ("vehicle",)}))
    assert place_evidence(predicted(unsaid, (PLACE,)), CONTRACT).shape == (0, 2)
