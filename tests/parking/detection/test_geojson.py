"""Answers that a map can place, and say how well."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely.geometry import shape

from parking.detection.geojson import locate, to_geojson
from parking.detection.spots import Spot
from tests.parking.detection.test_output import FOUND, RING, detection, raster


def test_an_image_without_a_place_on_earth_is_given_in_its_pixels_and_says_so() -> None:
    answer = to_geojson(FOUND, raster(), "7")
    assert answer["coordinate_system"] == "image"
    assert "Pixels of the image" in answer["crs"]["properties"]["name"]
    (feature,) = answer["features"]
    assert feature["properties"] == {"confidence": 0.9, "area_m2": 12.6, "kind": "bay"}
    assert shape(feature["geometry"]).bounds == (60, 40, 77, 73)
    assert (answer["count"], answer["count_interval"], answer["model_version"]) == (1, [0, 3], "7")
    assert answer["imagery_date"] == "2024-05-01"


def test_a_georeferenced_raster_is_answered_in_longitude_and_latitude() -> None:
    # Lambert 93: these metres are the middle of Paris.
    paris = raster(crs=CRS.from_epsg(2154), transform=Affine(0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0))
    answer = to_geojson(FOUND, paris)
    assert answer["coordinate_system"] == "WGS 84"
    place = shape(answer["features"][0]["geometry"])
    assert place.centroid.x == pytest.approx(2.345, abs=0.01)
    assert place.centroid.y == pytest.approx(48.858, abs=0.01)
    metres = place.area * 111_320**2 * np.cos(np.radians(48.858))
    assert metres == pytest.approx(17 * 33 * 0.15**2, rel=0.01)


@pytest.mark.parametrize("transform", [None, Affine(0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0)])
def test_rings_are_closed_and_counterclockwise_as_rfc_7946_wants(transform: Affine | None) -> None:
    where = raster(crs=CRS.from_epsg(2154) if transform else None, transform=transform)
    for ring in (RING, RING[::-1]):
        answer = to_geojson(detection(Spot(ring, 0.9, 12.6)), where)
        (positions,) = answer["features"][0]["geometry"]["coordinates"]
        assert positions[0] == positions[-1]
        assert len(positions) == 5
        assert shape(answer["features"][0]["geometry"]).exterior.is_ccw
    assert not {"coordinates", "geometry", "geometries", "properties"} & set(answer)


def test_a_crs_that_does_not_exist_falls_back_to_the_image() -> None:
    nowhere = raster(crs="EPSG:999999", transform=Affine.identity())
    answer = to_geojson(FOUND, nowhere)
    assert answer["coordinate_system"] == "image"
    assert "EPSG:999999, which cannot be placed on Earth" in answer["warnings"][0]


def test_nothing_found_is_an_empty_collection() -> None:
    assert to_geojson(detection(), raster())["features"] == []


def on_the_date_line(longitude: float, latitude: float = -18.0) -> Affine:
    """0.15 m pixels of degrees whose column 68.5, the middle of the place, lies at the longitude."""
    step = 0.15 / 111_320
    return Affine(step, 0, longitude - 68.5 * step, 0, -step, latitude)


@pytest.mark.parametrize("side", [180.0, -180.0])
def test_a_place_on_the_180th_meridian_is_cut_in_two_there(side: float) -> None:
    answer = to_geojson(FOUND, raster(crs=CRS.from_epsg(4326), transform=on_the_date_line(side)))
    (feature,) = answer["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    halves = sorted(shape(feature["geometry"]).geoms, key=lambda half: half.bounds[0])
    assert halves[0].bounds[0] == -180
    assert halves[1].bounds[2] == 180
    for half in halves:
        assert half.exterior.is_ccw
        assert half.bounds[2] - half.bounds[0] == pytest.approx(8.5 * 0.15 / 111_320, rel=1e-3)


@given(st.floats(-540, 540), st.floats(-75, 75))
def test_outlines_lie_between_the_meridians_and_keep_their_size(longitude: float, latitude: float) -> None:
    answer = to_geojson(FOUND, raster(crs=CRS.from_epsg(4326), transform=on_the_date_line(longitude, latitude)))
    place = shape(answer["features"][0]["geometry"])
    west, _, east, _ = place.bounds
    assert -180 <= west <= east <= 180
    assert place.area == pytest.approx(17 * 33 * (0.15 / 111_320) ** 2, rel=0.02)
    assert place.is_valid


def test_a_ring_across_the_180th_meridian_is_in_one_piece_for_those_who_draw_it() -> None:
    location = locate([RING], raster(crs=CRS.from_epsg(4326), transform=on_the_date_line(180)))
    assert location.rings is not None
    xs = [x for x, _ in location.rings[0]]
    assert min(xs) < 180 < max(xs)
    assert max(xs) - min(xs) < 1e-4


@pytest.mark.parametrize(
    ("crs", "x", "y", "accuracy", "words"),
    [
        ("EPSG:2154", 652_000, 6_862_000, 1.0, None),
        ("EPSG:32631", 450_000, 5_400_000, 0.0, None),
        ("EPSG:3857", 260_000, 6_250_000, 0.0, None),
        # Without the Ordnance Survey's grid, which is not installed here.
        ("EPSG:27700", 530_000, 180_000, 2.0, "uk_os_OSTN15_NTv2_OSGBtoETRS.tif"),
        ("EPSG:31467", 3_500_000, 5_500_000, 3.0, "de_adv_BETA2007.tif"),
    ],
)
def test_how_well_positions_are_known_is_said(crs: str, x: float, y: float, accuracy: float, words: str | None) -> None:
    answer = to_geojson(FOUND, raster(crs=CRS.from_string(crs), transform=Affine(0.15, 0, x, 0, -0.15, y)))
    assert answer["position_accuracy_m"] == accuracy
    assert bool(answer["warnings"]) == bool(words)
    if words:
        assert words in answer["warnings"][0]
        assert f"off by {accuracy:g} m" in answer["warnings"][0]


def test_a_system_whose_shift_nobody_knows_is_said_to_be_off_by_an_unknown_distance() -> None:
    bessel = CRS.from_proj4("+proj=utm +zone=32 +ellps=bessel +units=m +no_defs")
    answer = to_geojson(FOUND, raster(crs=bessel, transform=Affine(0.15, 0, 450_000, 0, -0.15, 5_400_000)))
    assert answer["position_accuracy_m"] is None
    assert "off by an unknown distance" in answer["warnings"][0]


def test_heights_in_a_compound_system_change_no_position() -> None:
    flat, high = (
        to_geojson(FOUND, raster(crs=CRS.from_string(name), transform=Affine(0.15, 0, 652_000, 0, -0.15, 6_862_000)))
        for name in ("EPSG:2154", "EPSG:2154+5720")
    )
    assert high["features"] == flat["features"]
    assert high["position_accuracy_m"] == 1.0
