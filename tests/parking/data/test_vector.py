"""Polygons on the map over GeoTIFFs: any CRS, several layers, and what is a sentence."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.warp import transform_geom

from parking.data.dataset import Snapshot, ingest
from parking.data.exports import vector
from parking.data.imagery import encode_png
from parking.data.polygons import area
from parking.data.vocabulary import LabelMap
from parking.errors import AnnotationError
from parking.storage import FolderStore
from tests.parking.data.places import HEIGHT, WIDTH, picture, write_images

UTM = "EPSG:32631"
EAST, NORTH, GSD = 450_000.0, 5_400_000.0, 0.1


def tile(folder: Path, name: str, column: int = 0, crs: str | None = UTM, degrees: float = 0) -> None:
    """A GeoTIFF whose upper left corner lies `column` widths east of the first one's."""
    folder.mkdir(parents=True, exist_ok=True)
    at = Affine.translation(EAST + column * WIDTH * GSD, NORTH) * Affine.rotation(degrees) * Affine.scale(GSD, -GSD)
    shape = {"width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8"}
    with rasterio.open(folder / name, "w", driver="GTiff", crs=crs, transform=at, **shape) as file:
        file.write(np.moveaxis(picture(column), 2, 0))


def ground(left: float, top: float, width: float = 25, height: float = 50) -> dict[str, Any]:
    """A rectangle in pixels of the first tile, on the map."""
    xs = EAST + np.array([left, left + width, left + width, left, left]) * GSD
    ys = NORTH - np.array([top, top, top + height, top + height, top]) * GSD
    return {"type": "Polygon", "coordinates": [[[float(x), float(y)] for x, y in zip(xs, ys, strict=True)]]}


def features(drawn: Sequence[tuple[Mapping[str, Any], dict[str, Any]]], crs: str = "EPSG:4326") -> str:
    """GeoJSON of attributes and polygons; in other than degrees it names its CRS, as QGIS writes it."""
    named = (
        {}
        if crs == "EPSG:4326"
        else {"crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs.replace(':', '::')}"}}}
    )
    listed = [
        {"type": "Feature", "properties": dict(properties), "geometry": transform_geom(UTM, crs, geometry, precision=9)}
        for properties, geometry in drawn
    ]
    return json.dumps({"type": "FeatureCollection", **named, "features": listed})


def taken_in(folder: Path, **options: Any) -> Snapshot:
    return ingest(str(folder), FolderStore(folder.parent / "store"), max_quarantined=1.0, **options).snapshot


@pytest.mark.parametrize("crs", ["EPSG:4326", UTM, "EPSG:2154", "EPSG:3857"])
def test_outlines_in_any_crs_lie_where_they_were_drawn(tmp_path: Path, crs: str) -> None:
    tile(tmp_path / "in", "a.tif")
    drawn = [
        ({"class": "stall"}, ground(10, 10)),
        ({"class": "Stall"}, ground(40, 10)),
        ({"class": "car"}, ground(12, 15, 20, 40)),
    ]
    (tmp_path / "in" / "drawn.geojson").write_text(features(drawn, crs))
    (scene,) = taken_in(tmp_path / "in").scenes
    assert (len(scene.stalls), len(scene.vehicles), scene.annotated) == (2, 1, ("free", "vehicle", "stall"))
    assert np.allclose(scene.rings, [[(40, 10), (65, 10), (65, 60), (40, 60)]], atol=0.1)


@settings(max_examples=8, deadline=None)
@given(degrees=st.floats(-180, 180), left=st.floats(5, 60), top=st.floats(5, 30))
def test_an_image_may_be_turned_on_the_map(degrees: float, left: float, top: float, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("turned")
    tile(folder, "a.tif", degrees=degrees)
    at = Affine.translation(EAST, NORTH) * Affine.rotation(degrees) * Affine.scale(GSD, -GSD)
    drawn = ((left, top), (left + 30, top), (left + 30, top + 40), (left, top + 40))
    corners = [at * point for point in drawn]
    polygon = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    (folder / "drawn.geojson").write_text(features([({"label": "free"}, polygon)], UTM))
    (found,) = vector.read(FolderStore(folder), ["drawn.geojson"], ["a.tif"], LabelMap())
    assert shapely.Polygon(found.rings[0]).symmetric_difference(shapely.Polygon(drawn)).area < 1


def test_an_outline_belongs_to_each_image_that_it_lies_in(tmp_path: Path) -> None:
    for column, name in enumerate(("a.tif", "b.tif", "c.tif")):
        tile(tmp_path / "in", name, column)
    drawn = [({"label": "free"}, ground(WIDTH - 15, 10)), ({"label": "free"}, ground(20, 10))]
    (tmp_path / "in" / "drawn.geojson").write_text(features(drawn))
    snapshot = taken_in(tmp_path / "in")
    assert {scene.name: len(scene.rings) for scene in snapshot.scenes} == {"a.tif": 2, "b.tif": 1}
    assert [(item.image, item.reason) for item in snapshot.quarantine] == [("c.tif", "no annotation")]


def test_layers_of_a_geopackage_are_what_their_names_say(tmp_path: Path) -> None:
    tile(tmp_path / "in", "a.tif")
    for layer, left, width in (("stalls", 10, 25), ("vehicles", 40, 20)):
        shapes = shapely.to_wkb(
            [shapely.geometry.shape(ground(left, 10, width)), shapely.geometry.shape(ground(left + 35, 10, width))]
        )
        pyogrio.raw.write(
            tmp_path / "in" / "map.gpkg", np.asarray(shapes), [np.array([1, 2])], ["fid_old"], layer=layer, crs=UTM,
            geometry_type="Polygon", append=(tmp_path / "in" / "map.gpkg").exists(), driver="GPKG",
        )  # fmt: skip
    (scene,) = taken_in(tmp_path / "in").scenes
    assert (len(scene.stalls), len(scene.vehicles), len(scene.rings)) == (2, 2, 1)


def test_a_class_counts_where_it_was_drawn(tmp_path: Path) -> None:
    """Bays are drawn in both tiles, vehicles in the first: nobody looked for vehicles in the second."""
    for column, name in enumerate(("a.tif", "b.tif")):
        tile(tmp_path / "in", name, column)
    (tmp_path / "in" / "stalls.geojson").write_text(features([({}, ground(10, 10)), ({}, ground(WIDTH + 10, 10))]))
    (tmp_path / "in" / "cars.geojson").write_text(features([({}, ground(50, 10))]))
    a, b = taken_in(tmp_path / "in").scenes
    assert (a.annotated, b.annotated) == (("free", "vehicle", "stall"), ("stall",))


def test_a_hole_in_an_outline_is_no_free_ground(tmp_path: Path) -> None:
    tile(tmp_path / "in", "a.tif")
    outer, inner = ground(10, 10, 60, 60), ground(30, 30, 20, 20)
    holed = {"type": "Polygon", "coordinates": [*outer["coordinates"], *inner["coordinates"]]}
    (tmp_path / "in" / "drawn.json").write_text(features([({"label": "free"}, holed)]))
    (scene,) = taken_in(tmp_path / "in").scenes
    assert sum(map(area, scene.rings)) == pytest.approx(60 * 60 - 20 * 20, rel=0.01)


def test_images_that_show_the_same_ground_share_a_group(tmp_path: Path) -> None:
    for name, column in (("a.tif", 0), ("b.tif", 1)):
        tile(tmp_path / "in", name, column)
    with rasterio.open(
        tmp_path / "in" / "c.tif", "w", driver="GTiff", crs=UTM, width=WIDTH, height=HEIGHT, count=3, dtype="uint8",
        transform=Affine.translation(EAST + WIDTH * GSD * 1.5, NORTH) * Affine.scale(GSD, -GSD),
    ) as file:  # fmt: skip
        file.write(np.moveaxis(picture(7), 2, 0))
    drawn = [({"label": "free"}, ground(left, 10)) for left in (10, WIDTH + 10, 2 * WIDTH + 10)]
    (tmp_path / "in" / "drawn.geojson").write_text(features(drawn))
    a, b, c = taken_in(tmp_path / "in").scenes
    assert b.group == c.group != a.group


@pytest.mark.parametrize(
    ("drawn", "crs", "sentence"),
    [
        (
            [({"kind": "x"}, ground(1, 1))],
            UTM,
            r"'drawn\.geojson' does not say what its polygons are.*--labels drawn=",
        ),
        ([({"label": "free"}, ground(1, 1))], "none", "says no coordinate reference system, and its coordinates"),
    ],
)
def test_a_layer_that_says_too_little_is_a_sentence(tmp_path: Path, drawn: Any, crs: str, sentence: str) -> None:
    tile(tmp_path / "in", "a.tif")
    text = features(drawn, UTM)
    if crs == "none":
        text = json.dumps({key: value for key, value in json.loads(text).items() if key != "crs"})
    (tmp_path / "in" / "drawn.geojson").write_text(text)
    with pytest.raises(AnnotationError, match=sentence):
        taken_in(tmp_path / "in")


def test_a_layer_over_images_without_a_place_is_a_sentence(tmp_path: Path) -> None:
    write_images(tmp_path / "in", {"a.png": encode_png(picture(0))})
    (tmp_path / "in" / "drawn.geojson").write_text(features([({"label": "free"}, ground(1, 1))]))
    with pytest.raises(AnnotationError, match="no image says where it lies"):
        taken_in(tmp_path / "in")
    (tmp_path / "in" / "drawn.geojson").write_text("{")
    with pytest.raises(AnnotationError, match=r"'drawn\.geojson' cannot be read"):
        taken_in(tmp_path / "in")
