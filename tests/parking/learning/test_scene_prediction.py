"""What follows of a prediction: places and vehicles in pixels of the scene, whatever size it was read at."""

from dataclasses import replace

import numpy as np
import pytest

from parking.learning.metrics import matched
from parking.learning.rules import draft_contract
from parking.learning.scene_prediction import (
    found_spots,
    found_vehicles,
    judged_rings,
    scene_histogram,
    seen_places,
    seen_vehicles,
)
from tests.parking.learning.scenes import TINY, answered, box, paint, predicted

DRAFT = draft_contract(TINY)
GSD = 0.12
PLACES = (box(12, 90, 20, 42), box(32, 90, 20, 42))
CARS = tuple(box(10 + 30 * n, 20, 16, 38) for n in range(6))


def test_adjoining_places_and_vehicles_are_found_one_by_one() -> None:
    (prediction,) = answered([paint(0, (box(10, 10, 14, 28), box(24, 10, 14, 28)), (box(60, 10, 10, 25),))])
    assert (len(found_spots(prediction, DRAFT)), len(found_vehicles(prediction, DRAFT))) == (2, 1)


def test_a_scene_of_unknown_resolution_is_read_as_its_vehicles_say_and_answered_in_its_own_pixels() -> None:
    sample = paint(0, PLACES, CARS, size=220, gsd=None)
    (prediction,) = answered([sample])
    assert prediction.gsd_source == "vehicles"
    assert prediction.gsd == pytest.approx(GSD, rel=0.12)
    rows, columns = prediction.maps["probability"].shape
    assert columns == pytest.approx(220 * GSD / TINY.gsd, rel=0.12)
    assert prediction.seen.shape == (rows, columns, 3)
    assert prediction.probability.shape == sample.mask.shape
    for found, true in ((found_spots(prediction, DRAFT), PLACES), (found_vehicles(prediction, DRAFT), CARS)):
        assert len(found) == len(true)
        assert matched([spot.ring for spot in found], true, 0.7).all()


def test_what_rules_are_chosen_by_lies_in_pixels_of_the_maps() -> None:
    (prediction,) = answered([paint(0, PLACES, CARS, size=220, gsd=None, ignored=(box(0, 0, 220, 15),))])
    ratio = 220 / prediction.maps["probability"].shape[1]
    places, vehicles = seen_places(prediction), seen_vehicles(prediction)
    assert places.rings[0][0] == pytest.approx((12 / ratio, 90 / ratio))
    assert (len(places.rings), len(vehicles.rings)) == (2, 6)
    assert places.unknown[0][2] == pytest.approx((220 / ratio, 15 / ratio))
    assert places.core is prediction.maps["free_core"]
    assert vehicles.ground is prediction.maps["vehicle"]


def test_ignored_ground_takes_no_part() -> None:
    known, unknown = box(10, 10, 14, 28), box(50, 10, 14, 28)
    sample = paint(0, (known, unknown), ignored=(box(45, 0, 51, 96),))
    (prediction,) = answered([sample])
    assert judged_rings(sample.rings, sample) == (known,)
    assert len(found_spots(prediction, DRAFT)) == 1
    histogram = scene_histogram(prediction)
    assert histogram.free.sum() == 14 * 28
    assert histogram.free.sum() + histogram.other.sum() == 96 * 45


def test_scenes_with_painted_bays_are_a_kind_of_their_own() -> None:
    street = predicted(paint(0), ())
    assert street.kind == "streets"
    assert replace(street, sample=paint(0, annotated=("free", "stall"))).kind == "bays"


def test_a_prediction_of_the_probability_alone_is_read_by_its_shapes() -> None:
    sample = paint(0, (box(10, 10, 14, 28),))
    prediction = predicted(sample, sample.rings)
    assert len(found_vehicles(prediction, DRAFT)) == 0
    assert list(prediction.ratio) == [1.0, 1.0]
    assert len(found_spots(prediction, DRAFT.model_copy(update={"bays": None}))) == 1
    assert np.array_equal(prediction.seen, sample.pixels)
