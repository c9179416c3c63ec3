"""Answers that a map or a person can read."""

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shapely.geometry import shape

from parking.data.imagery import Raster
from parking.detection.detector import Detection
from parking.detection.output import overlay, to_geojson
from parking.detection.spots import Spot

RING = ((60.0, 40.0), (77.0, 40.0), (77.0, 73.0), (60.0, 73.0))


def raster(**fields: Any) -> Raster:
    return replace(Raster(np.full((240, 400, 3), 60, np.uint8), name="a.png"), **fields)


def detection(*spots: Spot) -> Detection:
    probability = np.zeros((240, 400), np.float32)
    probability[40:73, 60:77] = 0.5
    return Detection(spots, len(spots), (0, 3), probability, 0.15, "assumed", dt.date(2024, 5, 1), 0.5, raster().pixels)


FOUND = detection(Spot(RING, 0.9, 12.6))


def test_an_image_without_a_place_on_earth_is_given_in_its_pixels_and_says_so() -> None:
    answer = to_geojson(FOUND, raster(), "7")
    assert answer["coordinate_system"] == "image"
    assert "Pixels of the image" in answer["crs"]["properties"]["name"]
    (feature,) = answer["features"]
    assert feature["properties"] == {"confidence": 0.9, "area_m2": 12.6}
    assert shape(feature["geometry"]).bounds == (60, 40, 77, 73)
    assert (answer["count"], answer["count_interval"], answer["model_version"]) == (1, [0, 3], "7")
    assert answer["imagery_date"] == "2024-05-01"


def test_a_georeferenced_raster_is_answered_in_longitude_and_latitude() -> None:
    # Lambert 93: these metres are the middle of Paris.
    paris = raster(crs="EPSG:2154", transform=(0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0))
    answer = to_geojson(FOUND, paris)
    assert answer["coordinate_system"] == "WGS 84"
    assert "crs" not in answer, "RFC 7946 knows no other than WGS 84"
    place = shape(answer["features"][0]["geometry"])
    assert place.centroid.x == pytest.approx(2.345, abs=0.01)
    assert place.centroid.y == pytest.approx(48.858, abs=0.01)
    metres = place.area * 111_320**2 * np.cos(np.radians(48.858))
    assert metres == pytest.approx(17 * 33 * 0.15**2, rel=0.01)


@pytest.mark.parametrize("transform", [None, (0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0)])
def test_rings_are_closed_and_counterclockwise_as_rfc_7946_wants(
    transform: tuple[float, float, float, float, float, float] | None,
) -> None:
    where = raster(crs="EPSG:2154" if transform else None, transform=transform)
    for ring in (RING, RING[::-1]):
        answer = to_geojson(detection(Spot(ring, 0.9, 12.6)), where)
        (positions,) = answer["features"][0]["geometry"]["coordinates"]
        assert positions[0] == positions[-1]
        assert len(positions) == 5
        assert shape(answer["features"][0]["geometry"]).exterior.is_ccw
    assert not {"coordinates", "geometry", "geometries", "properties"} & set(answer)


def test_a_crs_that_does_not_exist_falls_back_to_the_image() -> None:
    nowhere = raster(crs="EPSG:999999", transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    assert to_geojson(FOUND, nowhere)["coordinate_system"] == "image"


def test_nothing_found_is_an_empty_collection() -> None:
    assert to_geojson(detection(), raster())["features"] == []


def test_the_overlay_marks_the_place_and_leaves_the_image_as_it_was() -> None:
    ground = raster()
    drawn = overlay(ground, FOUND)
    assert drawn.shape == ground.pixels.shape
    assert (ground.pixels == 60).all()
    inside, outside = drawn[56, 68], drawn[200, 300]
    assert int(inside[1]) > 90
    assert (outside == 60).all()


def test_an_overlay_of_one_pixel_can_be_drawn() -> None:
    dot = Raster(np.zeros((1, 1, 3), np.uint8))
    assert overlay(dot, replace(detection(), probability=np.zeros((1, 1), np.float32))).shape == (1, 1, 3)
