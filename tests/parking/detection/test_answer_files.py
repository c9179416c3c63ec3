"""The files of an answer: named and made so that a GIS puts each where it belongs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio.warp
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from shapely.geometry import shape

from parking.detection.answer_files import write_answers
from parking.detection.spots import Spot
from parking.errors import OutputError
from tests.parking.detection.test_output import FOUND, raster

PARIS = {"crs": CRS.from_epsg(2154), "transform": Affine(0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0)}


def test_the_files_of_a_plain_image_are_in_its_pixels_and_named_so(tmp_path: Path) -> None:
    paths = write_answers(FOUND, raster(), tmp_path / "new" / "car.park", "7")
    assert [path.name for path in paths] == ["car.park.pixels.json", "car.park.overlay.png", "car.park.prob.png"]
    assert json.loads(paths[0].read_text())["model_version"] == "7"
    with Image.open(paths[2]) as image:
        assert (image.mode, image.size) == ("L", (400, 240))
        assert image.getpixel((68, 56)) == 128
        assert image.getpixel((0, 0)) == 0


def test_the_probability_map_of_a_georeferenced_image_lies_where_the_places_lie(tmp_path: Path) -> None:
    paths = write_answers(FOUND, raster(**PARIS), tmp_path / "paris")
    assert [path.name for path in paths] == ["paris.geojson", "paris.overlay.png", "paris.prob.tif"]
    with rasterio.open(paths[2]) as dataset:
        assert (dataset.crs.to_epsg(), dataset.shape, dataset.dtypes) == (2154, (240, 400), ("float32",))
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        (feature,) = json.loads(paths[0].read_text())["features"]
        middle = shape(feature["geometry"]).centroid
        xs, ys = rasterio.warp.transform("EPSG:4326", dataset.crs, [middle.x], [middle.y])
        (inside,) = dataset.sample([(xs[0], ys[0])])
        assert inside == pytest.approx(0.5)
        assert np.count_nonzero(dataset.read(1)) == 33 * 17


def test_vehicles_have_a_file_of_their_own_where_the_model_sees_them(tmp_path: Path) -> None:
    car = Spot(((200.0, 100.0), (213.0, 100.0), (213.0, 130.0), (200.0, 130.0)), 0.91, 8.0)
    plain = write_answers(replace(FOUND, vehicles=(car,)), raster(), tmp_path / "a", "7")
    assert [path.name for path in plain][:2] == ["a.pixels.json", "a.vehicles.pixels.json"]
    places, vehicles = (json.loads(path.read_text()) for path in plain[:2])
    assert (places["taken"], places["share_taken"]) == (1, 0.5)
    assert (vehicles["count"], vehicles["model_version"]) == (1, "7")
    assert vehicles["features"][0]["properties"] == {"confidence": 0.91, "area_m2": 8.0}
    placed = write_answers(replace(FOUND, vehicles=(car,)), raster(**PARIS), tmp_path / "b")
    assert placed[1].name == "b.vehicles.geojson"
    (x, y), *_ = json.loads(placed[1].read_text())["features"][0]["geometry"]["coordinates"][0]
    assert 2.3 < x < 2.4
    assert 48.8 < y < 48.9


def test_an_unknown_crs_is_answered_in_pixels(tmp_path: Path) -> None:
    nowhere = raster(crs="EPSG:999999", transform=Affine.identity())
    assert write_answers(FOUND, nowhere, tmp_path / "a")[0].name == "a.pixels.json"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Name another folder"):
        write_answers(FOUND, raster(), tmp_path / "file" / "a")
