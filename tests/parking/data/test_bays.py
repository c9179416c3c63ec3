"""A layer of known bays comes into the pixels of an image, or says why it does not."""

import json
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from parking.data.bays import read_known_bays
from parking.data.raster import Raster
from parking.errors import BaysError

PLAIN = Raster(np.zeros((200, 300, 3), np.uint8), name="photo.jpg")
PLACED = Raster(
    np.zeros((200, 300, 3), np.uint8),
    name="photo.tif",
    gsd=0.2,
    crs=CRS.from_epsg(2154),
    transform=Affine(0.2, 0, 652_000, 0, -0.2, 6_862_000),
)


def layer(*rings: list[list[float]], crs: str = "", **properties: Any) -> bytes:
    features = [
        {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [[*r, r[0]]]}}
        for r in rings
    ]
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    return json.dumps({"type": "FeatureCollection", **named, "features": features}).encode()


def box(x: float, y: float, width: float = 20, height: float = 40) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def test_bays_of_a_plain_image_are_in_its_pixels_and_keep_their_attributes() -> None:
    known = read_known_bays(layer(box(10, 10), box(40, 10), street="Rue"), "bays.geojson", PLAIN)
    assert [bay.ring[0] for bay in known.bays] == [(10, 10), (40, 10)]
    assert known.bays[0].feature["properties"] == {"street": "Rue"}
    assert known.outside == 0


@pytest.mark.parametrize("crs", ["EPSG:2154", "urn:ogc:def:crs:EPSG::2154"])
def test_bays_lie_where_their_crs_puts_them(crs: str) -> None:
    ring = [[x * 0.2 + 652_000, 6_862_000 - y * 0.2] for x, y in box(10, 10)]
    (bay,) = read_known_bays(layer(ring, crs=crs), "bays.geojson", PLACED).bays
    np.testing.assert_allclose(bay.ring, box(10, 10), atol=1e-4)


def test_geojson_without_a_crs_is_in_longitude_and_latitude() -> None:
    import pyproj

    way = pyproj.Transformer.from_crs(2154, "OGC:CRS84", always_xy=True)
    ring = [list(way.transform(x * 0.2 + 652_000, 6_862_000 - y * 0.2)) for x, y in box(100, 50)]
    (bay,) = read_known_bays(layer(ring), "bays.geojson", PLACED).bays
    np.testing.assert_allclose(bay.ring, box(100, 50), atol=0.02)


def test_bays_beside_the_image_are_counted_and_left_out() -> None:
    known = read_known_bays(layer(box(10, 10), box(1000, 10), box(290, 10)), "bays.geojson", PLAIN)
    assert (len(known.bays), known.outside) == (2, 1)
    half = read_known_bays(layer(box(10, 10), box(291, 10)), "bays.geojson", PLAIN)
    assert (len(half.bays), half.outside) == (1, 1)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"not json", "neither GeoJSON"),
        (b"[]", "no GeoJSON FeatureCollection"),
        (layer(), "no bay"),
        (layer([[10, 10], [40, 40], [40, 10], [10, 40]]), "not valid"),
        (layer(box(10, 10, 0, 0)), "not valid"),
        (layer(box(1000, 10)), "None of the 1 bays"),
        (layer(box(10, 10), crs="EPSG:2154"), "does not say where on Earth"),
        (b'{"type": "FeatureCollection", "features": [{"geometry": null}]}', "cannot be read"),
        (
            b'{"type":"FeatureCollection","features":[{"geometry":{"type":"Point","coordinates":[1,2]}}]}',
            "a bay is a polygon",
        ),
    ],
)
def test_what_cannot_be_used_is_a_sentence(data: bytes, told: str) -> None:
    with pytest.raises(BaysError, match=told):
        read_known_bays(data, "bays.geojson", PLAIN)


def test_an_unknown_crs_is_named() -> None:
    with pytest.raises(BaysError, match="EPSG:999999"):
        read_known_bays(layer(box(10, 10), crs="EPSG:999999"), "bays.geojson", PLACED)
