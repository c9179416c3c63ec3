"""`parking train --out`: a model file without a registry, its reference for drift, and what was drawn in a GIS."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.transform import Affine
from shapely import Polygon

from cli import options
from monitoring.schema import table_from_parquet
from parking.data.synthetic import generate_dataset, generate_scene
from parking.learning.recipe import recipe_names
from tests.cli.conftest import Command
from tests.flows.conftest import QUICK

pytestmark = pytest.mark.e2e


def test_a_model_file_has_its_reference_beside_it_a_row_a_scene(parking: Command, tmp_path: Path) -> None:
    generate_dataset(tmp_path / "scenes", 6, seed=3, size=128)
    (tmp_path / "quick.json").write_text(json.dumps(QUICK))
    words = ("--data", "scenes", "--recipe", "quick.json", "--folds", "2", "--work", "work", "--out", "out/mine.onnx")
    answer = parking("train", *words)
    assert answer.status == 0, answer.err
    assert (tmp_path / "out" / "mine.onnx").is_file()
    reference = table_from_parquet((tmp_path / "out" / "mine.reference.parquet").read_bytes())
    assert reference.num_rows == 6
    assert "out/mine.reference.parquet" in answer.out


def test_a_model_is_calibrated_on_images_of_ones_own_and_answers(parking: Command, tmp_path: Path) -> None:
    generate_dataset(tmp_path / "scenes", 6, seed=3, size=256)
    answer = parking("calibrate", "--data", "scenes", "--work", "work", "--out", "mine.onnx")
    assert answer.status == 0, answer.err
    assert "calibrated on 6 scenes" in answer.out
    assert "IoU of free ground" in answer.out
    assert table_from_parquet((tmp_path / "mine.reference.parquet").read_bytes()).num_rows == 6
    asked = parking("predict", "scenes", "--model", "mine.onnx")
    assert asked.status == 0, asked.err


def test_places_drawn_in_a_gis_over_geotiffs_train_a_model_that_answers_in_their_coordinates(
    parking: Command, tmp_path: Path
) -> None:
    draw_layer(tmp_path / "drawn")
    (tmp_path / "quick.json").write_text(json.dumps(QUICK))
    words = ("--data", "drawn", "--recipe", "quick.json", "--folds", "2", "--work", "work", "--out", "mine.onnx")
    answer = parking("train", *words)
    assert answer.status == 0, answer.err
    asked = parking("predict", "drawn/tile-0.tif", "--model", "mine.onnx")
    assert asked.status == 0, asked.err
    assert json.loads((tmp_path / "predictions" / "tile-0.geojson").read_text())["type"] == "FeatureCollection"
    with (
        rasterio.open(tmp_path / "predictions" / "tile-0.prob.tif") as answer,
        rasterio.open(tmp_path / "drawn" / "tile-0.tif") as image,
    ):
        assert (answer.crs, answer.bounds) == (image.crs, image.bounds)


def draw_layer(folder: Path) -> None:
    """Six GeoTIFFs side by side, and one GeoPackage with a polygon a place and the field `class`, as QGIS saves it."""
    folder.mkdir()
    geometries, classes = [], []
    for number in range(6):
        scene = generate_scene(number, 128)
        placed = Affine(0.11, 0, 652_000 + 20 * number, 0, -0.11, 6_862_000)
        profile = {"driver": "GTiff", "width": 128, "height": 128, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
        with rasterio.open(folder / f"tile-{number}.tif", "w", **profile, transform=placed) as file:
            file.write(np.moveaxis(scene.raster.pixels, 2, 0))
        for rings, name in ((scene.rings, "free parking"), (scene.vehicles, "vehicle")):
            geometries += [Polygon([placed * corner for corner in ring]) for ring in rings]
            classes += [name] * len(rings)
    pyogrio.raw.write(
        folder / "drawn.gpkg",
        geometry=np.array([geometry.wkb for geometry in geometries], object),
        field_data=[np.array(classes, object)],
        fields=["class"],
        geometry_type="Polygon",
        crs="EPSG:2154",
    )


def test_the_help_names_every_recipe() -> None:
    (_, option) = get_args(options.RecipeName)
    assert [name for name in recipe_names() if f"'{name}'" not in option.help] == []
