"""How likely a known bay is taken, learnt from annotated bays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parking.data.polygons import Ring
from parking.detection.contract import BayCalibration
from parking.learning.bay_calibration import annotated_bays, bay_answers, calibrate_bays
from parking.learning.evaluate import score
from parking.learning.rules import draft_contract
from parking.learning.scene_prediction import ScenePrediction
from tests.parking.learning.scenes import TINY, answered, box, paint

BAYS = tuple(box(6 + 15 * n, 8 + 44 * row, 14, 28) for row in range(2) for n in range(5))


def scene(number: int, *, gsd: float | None = TINY.gsd, unsure: bool = False, **more: Any) -> ScenePrediction:
    """Ten bays, every other one with a car; `unsure` answers say little, and wrongly of some bays."""
    free, cars = BAYS[::2], tuple(box(x + 2, y + 2, 10, 24) for (x, y), *_ in BAYS[1::2])
    sample = paint(number, free, cars, stalls=BAYS, annotated=("free", "vehicle", "stall"), gsd=gsd, **more)
    (prediction,) = answered([sample])
    if not unsure:
        return prediction
    random = np.random.default_rng(number)
    maps = {name: values.copy() for name, values in prediction.maps.items()}
    for ring in BAYS:
        (left, top), _, (right, bottom), _ = ring
        window = slice(int(top), int(bottom)), slice(int(left), int(right))
        for name in ("vehicle", "probability"):
            shift = random.normal(0, 3)
            odds = np.log(maps[name][window].astype(float) / (1 - maps[name][window].astype(float)))
            maps[name][window] = 1 / (1 + np.exp(-odds / 2 - shift))
    return replace(prediction, maps=maps)


def test_bays_come_with_their_state_in_pixels_of_the_maps() -> None:
    prediction = scene(0)
    assert annotated_bays(prediction) == [(ring, number % 2 == 1) for number, ring in enumerate(BAYS)]
    small = replace(prediction, maps={name: values[::2, ::2] for name, values in prediction.maps.items()})
    halved: Ring = tuple((x / 2, y / 2) for x, y in BAYS[0])
    assert annotated_bays(small)[0] == (halved, False)


def test_a_scene_without_bays_or_without_maps_has_none() -> None:
    prediction = scene(0)
    unsaid = replace(prediction.sample, scene=prediction.sample.scene.model_copy(update={"annotated": ("free",)}))
    assert annotated_bays(replace(prediction, sample=unsaid)) == []
    assert annotated_bays(replace(prediction, maps={})) == []


def test_a_bay_of_which_nothing_is_known_is_not_taken_to_be_occupied() -> None:
    unknown = box(0, 0, 35, 50)
    assert [ring for ring, _ in annotated_bays(scene(0, ignored=(unknown,)))] == list(BAYS[2:])


def test_what_is_learnt_tells_free_bays_from_taken_ones() -> None:
    calibration = calibrate_bays([scene(number) for number in range(5)])
    assert calibration is not None
    assert calibration.vehicle > 0 > calibration.free
    contract = draft_contract(TINY).model_copy(update={"known_bays": calibration})
    scores = score([scene(9)], contract)
    assert scores.bay_accuracy == 1
    assert scores.bay_ece is not None
    assert scores.bay_ece < 0.1


def test_a_bay_is_as_sure_as_bays_like_it_proved_to_be() -> None:
    doubtful = [scene(number, unsure=True) for number in range(60)]
    learnt = draft_contract(TINY).model_copy(update={"known_bays": calibrate_bays(doubtful[:30])})
    rash = draft_contract(TINY).model_copy(update={"known_bays": BayCalibration(vehicle=3.0, free=-3.0)})
    fair, hasty = (score(doubtful[30:], one) for one in (learnt, rash))
    assert fair.bay_accuracy is not None
    assert fair.bay_ece is not None
    assert hasty.bay_ece is not None
    assert 0.7 < fair.bay_accuracy < 0.999
    assert fair.bay_ece < 0.06 < hasty.bay_ece


@pytest.mark.parametrize("scenes", [0, 3])
def test_too_few_bays_teach_nothing(scenes: int) -> None:
    assert calibrate_bays([scene(number) for number in range(scenes)]) is None


def test_bays_of_one_state_alone_teach_nothing() -> None:
    full = paint(0, (), BAYS, stalls=BAYS, annotated=("free", "vehicle", "stall"))
    assert calibrate_bays(answered([full] * 9)) is None


def test_a_model_that_was_not_calibrated_gets_no_score() -> None:
    assert bay_answers([scene(0)], draft_contract(TINY)) == []
    assert score([scene(0)], draft_contract(TINY)).bay_accuracy is None
