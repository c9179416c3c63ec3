"""Answers that a map or a person can read."""

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np

from parking.data.imagery import Raster
from parking.detection.detection import Detection
from parking.detection.output import overlay
from parking.detection.spots import Spot

RING = ((60.0, 40.0), (77.0, 40.0), (77.0, 73.0), (60.0, 73.0))


def raster(**fields: Any) -> Raster:
    return replace(Raster(np.full((240, 400, 3), 60, np.uint8), name="a.png"), **fields)


def detection(*spots: Spot) -> Detection:
    probability = np.zeros((240, 400), np.float32)
    probability[40:73, 60:77] = 0.5
    return Detection(spots, len(spots), (0, 3), probability, 0.15, "assumed", dt.date(2024, 5, 1), 0.5, raster().pixels)


FOUND = detection(Spot(RING, 0.9, 12.6))


def test_the_overlay_marks_the_place_and_leaves_the_image_as_it_was() -> None:
    ground = raster()
    drawn = overlay(ground, FOUND)
    assert drawn.shape == ground.pixels.shape
    assert (ground.pixels == 60).all()
    inside, outside = drawn[56, 68], drawn[200, 300]
    assert int(inside[1]) > 90
    assert (outside == 60).all()


def test_vehicles_are_drawn_and_can_be_left_out() -> None:
    car = Spot(((200.0, 100.0), (213.0, 100.0), (213.0, 130.0), (200.0, 130.0)), 0.9, 8.0)
    seen = replace(FOUND, vehicles=(car,))
    blue = overlay(raster(), seen)[100:102, 205]
    assert blue[:, 2].max() > 150
    np.testing.assert_array_equal(
        overlay(raster(), seen, vehicles=False)[90:140, 190:220], raster().pixels[90:140, 190:220]
    )


def test_a_model_that_sees_no_vehicles_does_not_say_that_there_are_none() -> None:
    assert (FOUND.taken, FOUND.share_taken) == (None, None)
    seen = replace(FOUND, vehicles=())
    assert (seen.taken, seen.share_taken) == (0, 0.0)
    assert replace(detection(), vehicles=()).share_taken is None


def test_an_overlay_of_one_pixel_can_be_drawn() -> None:
    dot = Raster(np.zeros((1, 1, 3), np.uint8))
    assert overlay(dot, replace(detection(), probability=np.zeros((1, 1), np.float32))).shape == (1, 1, 3)
