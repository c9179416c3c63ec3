"""Scores of whole datasets, and what is chosen from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parking.data.snapshot import Scene
from parking.detection.contract import BayCalibration, CountCalibration
from parking.detection.count import count_interval, map_uncertainty
from parking.detection.detector import Detector
from parking.learning.evaluate import SceneCounts, Scores, calibrate_count, evaluate_model, scene_counts, score
from parking.learning.rules import draft_contract
from parking.learning.scene_prediction import ScenePrediction
from tests.doubles import contract, write_bright_model, write_colour_model
from tests.parking.learning.scenes import TINY, answered, box, make_sample, make_samples, paint, predicted

CONTRACT = contract(gsd=0.15, threshold=0.5, min_area_m2=1.0, bay_width_m=17 * 0.15, bay_length_m=33 * 0.15)
PLACE, ELSEWHERE = box(10, 10, 17, 33), box(60, 50, 17, 33)
AREA = 17 * 33


def test_a_perfect_prediction_scores_one_and_counts_right() -> None:
    samples = make_samples(3)
    scores = score([predicted(sample, sample.rings, 0.999) for sample in samples], CONTRACT)
    assert (scores.iou, scores.dice, scores.precision, scores.recall) == (1, 1, 1, 1)
    assert (scores.f1_50, scores.f1_25, scores.pr_auc) == (1, 1, 1)
    assert (scores.count_mae, scores.count_bias, scores.scenes) == (0, 0, 3)
    assert scores.ece < 0.01


def test_pixels_and_places_are_summed_over_scenes_before_the_ratio() -> None:
    # One scene right, one in which the place was missed and another found: 1 of 3 in pixels, 1 hit, 1 false, 1 missed.
    right, wrong = (make_sample(number, rings=(PLACE,)) for number in range(2))
    scores = score([predicted(right, (PLACE,)), predicted(wrong, (ELSEWHERE,))], CONTRACT)
    assert scores.iou == pytest.approx(1 / 3)
    assert scores.f1_50 == pytest.approx(1 / 2)
    assert scores.count_bias == 0


def test_counts_compare_places_found_with_places_annotated() -> None:
    sample = make_sample(0, rings=(PLACE,))
    scores = score([predicted(sample, (PLACE, ELSEWHERE)), predicted(sample, (PLACE,))], CONTRACT)
    assert scores.count_mae == pytest.approx(1 / 2)
    assert scores.count_rmse == pytest.approx((1 / 2) ** 0.5)
    assert scores.count_bias == pytest.approx(1 / 2)


def test_no_scenes_measure_nothing() -> None:
    scores = score([], CONTRACT)
    besides = {"interval_held", "interval_width", "vehicle_f1_50", "bay_accuracy", "bay_ece", "gsd_error"}
    assert scores.model_dump() == {name: None if name in besides else 0 for name in Scores.model_fields}


def test_the_count_is_calibrated_by_the_sums() -> None:
    samples = [make_sample(0, rings=(PLACE, ELSEWHERE)), make_sample(1, rings=(PLACE,))]
    found = [predicted(samples[0], (PLACE,)), predicted(samples[1], (PLACE,))]
    calibration = calibrate_count(found, CONTRACT)
    assert calibration.ratio == pytest.approx(1.5)


def rows(number: int, found: int, true: int, probability: float = 0.9) -> ScenePrediction:
    """A scene with so many places, of which another number was found."""
    places = tuple(box(2 + 20 * n, 5 + 40 * row, 12, 30) for row in range(3) for n in range(9))
    sample = make_sample(number, rings=places[:true], size=200)
    return predicted(sample, places[:found], probability)


def test_the_interval_of_the_count_is_the_narrowest_that_holds_in_four_of_five_scenes() -> None:
    found = [rows(n, 10, true) for n, true in enumerate((10, 11, 9, 10, 12, 8, 10, 16, 4, 10))]
    calibration = calibrate_count(found, CONTRACT)

    def held(given: CountCalibration) -> int:
        low, high = count_interval(10, given)
        return sum(low <= len(one.rings) <= high for one in found)

    assert calibration.ratio == 1
    assert held(calibration) == 8
    assert held(calibration.model_copy(update={"dispersion": calibration.dispersion * 0.98})) < 8
    # Every map is as sure as the next, 0.9: what holds by uncertainty is what holds for all.
    assert calibration.by_uncertainty == pytest.approx(calibration.dispersion / map_uncertainty(found[0].probability))
    scores = score(found, CONTRACT.model_copy(update={"count": calibration}))
    assert scores.interval_held == pytest.approx(0.8)


def test_scenes_that_are_easy_to_count_do_not_narrow_the_interval_of_the_others() -> None:
    hard = [rows(n, 10, true) for n, true in enumerate((10, 11, 9, 10, 12, 8, 10, 16, 4, 10))]
    easy = [rows(n, 10, 10) for n in range(100, 140)]
    alone = calibrate_count(hard, CONTRACT)
    bays = [replace(one, sample=replace(one.sample, scene=with_bays(one.sample.scene))) for one in easy]
    assert calibrate_count([*hard, *bays], CONTRACT).dispersion == pytest.approx(alone.dispersion)
    assert calibrate_count([*hard, *easy], CONTRACT).dispersion < alone.dispersion


def test_scenes_with_sharp_maps_get_narrower_intervals() -> None:
    blurred = [rows(n, 10, true, 0.6) for n, true in enumerate((10, 11, 9, 10, 12, 8, 10, 16, 4, 10))]
    sharp = [rows(n, 10, true, 0.98) for n, true in enumerate((10, 10, 9, 10, 11, 10, 10, 11, 9, 10), 100)]
    sharp = [replace(one, sample=replace(one.sample, scene=with_bays(one.sample.scene))) for one in sharp]
    contract = CONTRACT.model_copy(update={"count": calibrate_count([*blurred, *sharp], CONTRACT)})
    widths = [score(part, contract).interval_width for part in (blurred, sharp)]
    assert widths[0] is not None
    assert widths[1] is not None
    assert widths[1] <= widths[0] / 2
    assert score(sharp, contract).interval_held == 1


def with_bays(scene: Scene) -> Scene:
    return scene.model_copy(update={"annotated": ("free", "stall")})


def test_counts_that_are_all_right_do_not_shrink_the_interval_to_nothing() -> None:
    assert calibrate_count([rows(n, 5, 5) for n in range(4)], CONTRACT).dispersion >= 0.05


def test_a_model_that_finds_nothing_leaves_the_count_uncalibrated() -> None:
    assert calibrate_count([predicted(make_sample(0), ())], CONTRACT) == CountCalibration()


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


def test_vehicles_and_places_are_scored_one_by_one_each_where_it_was_looked_for() -> None:
    places, cars = (box(10, 10, 14, 28), box(24, 10, 14, 28)), (box(60, 10, 10, 25),)
    draft = draft_contract(TINY)
    both = paint(0, places, cars)
    only_cars = paint(1, (), (box(20, 40, 10, 25), box(40, 40, 10, 25)), annotated=("vehicle",))
    # One car that nobody drew.
    surplus = replace(only_cars, vehicles=only_cars.vehicles[:1])
    scores = score(answered([both, only_cars]), draft)
    assert (scores.f1_50, scores.vehicle_f1_50, scores.scenes) == (1, 1, 1)
    assert score(answered([both, surplus]), draft).vehicle_f1_50 == pytest.approx(4 / 5)
    alone = score(answered([only_cars]), draft)
    assert (alone.scenes, alone.iou, alone.vehicle_f1_50) == (0, 0, 1)


def test_what_lies_on_ignored_ground_is_neither_right_nor_wrong() -> None:
    known, unknown = box(10, 10, 14, 28), box(50, 10, 14, 28)
    sample = paint(0, (known, unknown), ignored=(box(45, 5, 30, 40),))
    found_both = answered([sample])
    (only_known,) = answered([replace(paint(0, (known,)), ignored=sample.ignored)])
    for prediction in (*found_both, only_known):
        scores = score([prediction], draft_contract(TINY))
        assert scores.iou == pytest.approx(1, abs=0.01)
        assert (scores.f1_50, scores.count_mae) == (1, 0)


def test_known_bays_are_scored_by_their_state() -> None:
    free, taken = box(10, 10, 14, 28), box(40, 10, 14, 28)
    sample = paint(0, (free,), (box(42, 12, 10, 25),), stalls=(free, taken), annotated=("free", "vehicle", "stall"))
    known = draft_contract(TINY).model_copy(update={"known_bays": BayCalibration()})
    scores = score(answered([sample]), known)
    assert scores.bay_accuracy == 1
    assert scores.bay_ece is not None
    assert scores.bay_ece < 0.1
    swapped = known.model_copy(update={"known_bays": BayCalibration(vehicle=-1.0, free=1.0)})
    assert score(answered([sample]), swapped).bay_accuracy == 0
    assert score(answered([sample]), draft_contract(TINY)).bay_accuracy is None


def test_the_estimated_resolution_is_scored_where_the_annotation_tells_it(tmp_path: Path) -> None:
    gsd, cars = 0.1, tuple(box(10 + 40 * n, 20, 19, 46) for n in range(6))
    detector = Detector.load(write_colour_model(tmp_path / "colour.onnx"))
    sample = replace(paint(0, (), cars, size=256, gsd=None), zoom=gsd / detector.contract.gsd)
    scores, (prediction,) = evaluate_model(detector, [sample])
    assert prediction.gsd_source == "vehicles"
    assert prediction.gsd is not None
    assert scores.gsd_error is not None
    assert prediction.gsd == pytest.approx(gsd, rel=0.15)
    assert scores.gsd_error == pytest.approx(abs(prediction.gsd / gsd - 1), abs=0.01)
    told = paint(0, (), cars, size=256, gsd=detector.contract.gsd)
    assert evaluate_model(detector, [told])[0].gsd_error is None
