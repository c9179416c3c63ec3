"""Scores of whole datasets, and what is chosen from them."""

from pathlib import Path

import numpy as np
import pytest

from parking.detection.detector import Detector
from parking.detection.spots import SpotRules
from parking.learning.evaluate import (
    SceneCounts,
    Scores,
    calibrate_count,
    choose_threshold,
    evaluate_model,
    model_rules,
    scene_counts,
    score,
)
from tests.doubles import contract, write_bright_model
from tests.parking.learning.scenes import box, make_sample, make_samples, predicted

GSD = 0.15
RULES = SpotRules(threshold=0.5, min_area_px=50, bay_width_px=17, bay_length_px=33)
PLACE, ELSEWHERE = box(10, 10, 17, 33), box(60, 50, 17, 33)
AREA = 17 * 33


def test_a_perfect_prediction_scores_one_and_counts_right() -> None:
    samples = make_samples(3)
    scores = score([predicted(sample, sample.rings, 0.999) for sample in samples], RULES, GSD)
    assert (scores.iou, scores.dice, scores.precision, scores.recall) == (1, 1, 1, 1)
    assert (scores.f1_50, scores.f1_25, scores.pr_auc) == (1, 1, 1)
    assert (scores.count_mae, scores.count_bias, scores.scenes) == (0, 0, 3)
    assert scores.ece < 0.01


def test_pixels_and_places_are_summed_over_scenes_before_the_ratio() -> None:
    # One scene right, one in which the place was missed and another found: 1 of 3 in pixels, 1 hit, 1 false, 1 missed.
    right, wrong = (make_sample(number, rings=(PLACE,)) for number in range(2))
    scores = score([predicted(right, (PLACE,)), predicted(wrong, (ELSEWHERE,))], RULES, GSD)
    assert scores.iou == pytest.approx(1 / 3)
    assert scores.f1_50 == pytest.approx(1 / 2)
    assert scores.count_bias == 0


def test_counts_compare_places_found_with_places_annotated() -> None:
    sample = make_sample(0, rings=(PLACE,))
    scores = score([predicted(sample, (PLACE, ELSEWHERE)), predicted(sample, (PLACE,))], RULES, GSD)
    assert scores.count_mae == pytest.approx(1 / 2)
    assert scores.count_rmse == pytest.approx((1 / 2) ** 0.5)
    assert scores.count_bias == pytest.approx(1 / 2)


def test_no_scenes_measure_nothing() -> None:
    assert score([], RULES, GSD) == Scores.model_validate(dict.fromkeys(Scores.model_fields, 0))


def test_the_threshold_is_the_one_with_the_largest_iou_over_all_scenes() -> None:
    sample = make_sample(0, rings=(PLACE,))
    right, wrong = predicted(sample, (PLACE,), 0.6), predicted(sample, (ELSEWHERE,), 0.3)
    assert 0.3 < choose_threshold([right, wrong]) <= 0.6


def test_the_count_is_calibrated_by_the_sums() -> None:
    samples = [make_sample(0, rings=(PLACE, ELSEWHERE)), make_sample(1, rings=(PLACE,))]
    found = [predicted(samples[0], (PLACE,)), predicted(samples[1], (PLACE,))]
    calibration = calibrate_count(found, RULES, GSD)
    # 3 places for 2 found; errors of 0.5 against 1.5 expected in both scenes.
    assert calibration.ratio == pytest.approx(1.5)
    assert calibration.dispersion == pytest.approx(0.25 / 1.5)


def test_a_model_that_finds_nothing_leaves_the_count_uncalibrated() -> None:
    assert calibrate_count([predicted(make_sample(0), ())], RULES, GSD).ratio == 1


def test_the_gate_gets_intersection_and_union_of_each_scene() -> None:
    sample = make_sample(0, rings=(PLACE,))
    assert scene_counts([predicted(sample, (PLACE, ELSEWHERE))], 0.5) == [
        SceneCounts(sample.scene.sha256, AREA, 2 * AREA, len(sample.rings))
    ]


def test_an_exported_model_is_scored_as_it_serves(tmp_path: Path) -> None:
    detector = Detector.load(write_bright_model(tmp_path / "bright.onnx"))
    samples = make_samples(2)
    scores, predictions = evaluate_model(detector, samples)
    assert scores.iou == 1
    assert [prediction.name for prediction in predictions] == ["scene-0", "scene-1"]
    assert predictions[0].probability.dtype == np.float16


def test_a_contracts_rules_can_be_had_at_another_threshold() -> None:
    assert model_rules(contract(threshold=0.4)).threshold == 0.4
    assert model_rules(contract(threshold=0.4), 0.7).threshold == 0.7
