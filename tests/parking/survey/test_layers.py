"""Layers that a person brings to a survey: known bays, kerbs, and extracts of OpenStreetMap."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from osmium.osm.mutable import Node, Way
from pyproj import Geod, Transformer

from parking.errors import SurveyError
from parking.survey.request import SurveyRequest
from parking.survey.run import run_survey
from parking.survey.vectors import PARKING_LOTS, PARKING_SPACES, read_lines, read_polygons
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, write

HEIGHT, WIDTH = 200, 500
FREE, TAKEN = (250, 0, 250), (0, 250, 250)
"""What the colour model sees as a free place and as a vehicle."""
BAYS = {"a": (60, 20), "b": (60, 80), "c": (90, 180), "d": (20, 250), "e": (150, 330), "edge": (100, 490)}
"""Row and column of the corner of each bay of 17 by 33 pixels; the last is half beyond the imagery."""


def ring(row: float, column: float, height: float = 33, width: float = 17) -> shapely.Polygon:
    """Pixels of the mosaic as a polygon in the CRS."""
    west, north = WEST + column * GSD, NORTH - row * GSD
    return shapely.box(west, north - height * GSD, west + width * GSD, north)


def save(path: Path, shapes: Sequence[shapely.Geometry], kind: str, **columns: Sequence[Any]) -> str:
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(list(shapes)), pa.binary())})
    pyogrio.write_arrow(table, path, driver="GPKG", geometry_name="geometry", geometry_type=kind, crs=LAMBERT)
    return str(path)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mosaic whose bays a, c, e are free and b, d taken; with layers of bays, kerbs and districts."""
    folder = tmp_path_factory.mktemp("town")
    pixels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for name, (row, column) in BAYS.items():
        pixels[row : row + 33, column : column + 17] = FREE if name in ("a", "c", "e") else TAKEN
    write(folder / "town.tif", pixels, tags={"ACQUISITIONDATETIME": "2024:05:01 10:00:00"})
    save(
        folder / "bays.gpkg",
        [ring(*at) for at in BAYS.values()],
        "Polygon",
        number=[*range(len(BAYS))],
        state=["new"] * len(BAYS),
        name=[*BAYS],
    )
    west, east = ring(0, 0, HEIGHT, 200), ring(0, 200, HEIGHT, 300)
    save(folder / "districts.gpkg", [west, east], "Polygon", name=["west", "=east"])
    kerb = shapely.LineString([(WEST - 50, NORTH - 10), (WEST + 500 * GSD, NORTH - 10)])
    save(folder / "kerbs.gpkg", [kerb], "LineString", name=["long street"])
    return folder


def survey(town: Path, out: Path, model: Path, dask: str, **more: Any) -> dict[str, Any]:
    asked = {
        "sources": (str(town / "town.tif"),),
        "out": str(out),
        "bays": str(town / "bays.gpkg"),
        "block": 200,
        **more,
    }
    return run_survey(SurveyRequest(**asked), model, dask=dask)


def test_each_bay_is_read_once_with_the_whole_of_it_seen(
    town: Path, tmp_path: Path, colour_model: Path, dask: str
) -> None:
    told = survey(town, tmp_path / "small", colour_model, dask, districts=str(town / "districts.gpkg"))
    assert told["blocks"]["count"] > 1
    assert told["bays"] == {"free": 3, "occupied": 2, "unsure": 0, "not_seen": 1}
    table = pq.read_table(tmp_path / "small" / "bays.parquet").to_pydict()
    assert dict(zip(table["name"], table["state"], strict=True)) == {
        **dict.fromkeys("ace", "free"), **dict.fromkeys("bd", "occupied"), "edge": "not seen",
    }  # fmt: skip
    assert table["own_state"] == ["new"] * 6
    assert table["number"] == [0, 1, 2, 3, 4, 5]
    assert table["occupied"][-1] is None
    assert table["date"][:5] == ["2024-05-01"] * 5
    assert pyogrio.read_info(tmp_path / "small" / "bays.gpkg", layer="bays")["features"] == 6
    rows = list(csv.DictReader((tmp_path / "small" / "bays.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == table["state"]
    survey(town, tmp_path / "large", colour_model, dask, block=4000)
    whole = pq.read_table(tmp_path / "large" / "bays.parquet").to_pydict()
    assert whole["occupied"] == table["occupied"]


def test_districts_count_bays_and_kilometres_of_kerb(town: Path, tmp_path: Path, colour_model: Path, dask: str) -> None:
    layers = {"districts": str(town / "districts.gpkg"), "kerbs": str(town / "kerbs.gpkg")}
    survey(town, tmp_path / "out", colour_model, dask, **layers)
    west, east = csv.DictReader((tmp_path / "out" / "districts.csv").read_text().splitlines())
    assert (west["bays"], west["bays_free"], west["bays_occupied"], west["bays_unsure"]) == ("3", "2", "1", "0")
    assert (east["bays"], east["bays_free"], east["bays_occupied"], east["bays_unsure"]) == ("3", "1", "1", "1")
    assert east["name"] == "'=east"
    to_degrees = Transformer.from_crs(LAMBERT, "OGC:CRS84", always_xy=True)
    ends = [to_degrees.transform(WEST + x, NORTH - 10) for x in (0, 200 * GSD)]
    true_km = Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2] / 1000
    assert float(west["kerb_km"]) == pytest.approx(true_km, abs=1e-3)
    assert float(west["free_per_km"]) == pytest.approx(int(west["free"]) / float(west["kerb_km"]), rel=0.05)
    features = json.loads((tmp_path / "out" / "districts.geojson").read_text())["features"]
    assert features[0]["properties"]["kerb_km"] == float(west["kerb_km"])
    survey(town, tmp_path / "plain", colour_model, dask, bays="", districts=layers["districts"])
    (header, *_) = (tmp_path / "plain" / "districts.csv").read_text().splitlines()
    assert "kerb_km" not in header
    assert "bays" not in header


def test_layers_that_cannot_be_used_are_said_before_anything_is_computed(
    town: Path, tmp_path: Path, model: Path, colour_model: Path
) -> None:
    with pytest.raises(SurveyError, match="sees no vehicles"):
        survey(town, tmp_path / "a", model, "")
    with pytest.raises(SurveyError, match="give --districts"):
        survey(town, tmp_path / "b", colour_model, "", bays="", kerbs=str(town / "kerbs.gpkg"))
    with pytest.raises(SurveyError, match="holds no line"):
        survey(
            town,
            tmp_path / "c",
            colour_model,
            "",
            districts=str(town / "districts.gpkg"),
            kerbs=str(town / "bays.gpkg"),
        )
    with pytest.raises(SurveyError, match="holds no polygon"):
        survey(town, tmp_path / "d", colour_model, "", bays=str(town / "kerbs.gpkg"))
    with pytest.raises(SurveyError, match="There is no layer"):
        survey(town, tmp_path / "e", colour_model, "", bays=str(town / "nowhere.gpkg"))
    assert not list(tmp_path.glob("*/[!.]*"))


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lot of two spaces, one of them with a tag of its own, along a street, in a town."""
    path = tmp_path_factory.mktemp("osm") / "town.osm.pbf"
    to_degrees = Transformer.from_crs(LAMBERT, "OGC:CRS84", always_xy=True)
    shapes: list[tuple[shapely.Geometry, dict[str, str]]] = [
        (ring(0, 0, HEIGHT, 300), {"amenity": "parking", "name": "Market"}),
        (ring(60, 20), {"amenity": "parking_space", "capacity:disabled": "1"}),
        (ring(60, 80), {"amenity": "parking_space"}),
        (ring(0, 300, HEIGHT, 200), {"amenity": "parking", "parking": "street_side"}),
        (ring(0, 0, HEIGHT, WIDTH), {"boundary": "administrative", "name": "Town"}),
        (shapely.LineString([(WEST, NORTH - 10), (WEST + 60, NORTH - 10)]), {"highway": "residential"}),
        (
            shapely.LineString([(WEST, NORTH - 12), (WEST + 60, NORTH - 12)]),
            {"highway": "service", "parking:left": "lane"},
        ),
        (shapely.LineString([(WEST, NORTH - 15), (WEST + 60, NORTH - 15)]), {"highway": "footway"}),
    ]
    nodes, ways = [], []
    for number, (shape, tags) in enumerate(shapes, 1):
        points = shapely.get_coordinates(shape)
        closed = shape.geom_type == "Polygon"
        ids = [number * 100 + n for n in range(len(points) - closed)]
        nodes += [Node(id=i, version=1, location=to_degrees.transform(*at)) for i, at in zip(ids, points, strict=False)]
        ways.append(Way(id=number, version=1, nodes=[*ids, ids[0]] if closed else ids, tags=tags))
    with osmium.SimpleWriter(str(path)) as writer:
        for node in nodes:
            writer.add_node(node)
        for way in ways:
            writer.add_way(way)
    return str(path)


def test_an_osm_extract_gives_lots_spaces_streets_and_any_tag(extract: str) -> None:
    lots = read_polygons(extract, LAMBERT, osm=PARKING_LOTS)
    assert lots.columns["name"].tolist() == ["Market", None]
    assert len(read_polygons(extract, LAMBERT, osm=PARKING_SPACES).shapes) == 2
    assert len(read_polygons(f"{extract}#capacity:disabled=1", LAMBERT, osm=PARKING_SPACES).shapes) == 1
    assert read_polygons(f"{extract}#boundary=administrative", LAMBERT).columns["name"].tolist() == ["Town"]
    assert len(read_lines(extract, LAMBERT).shapes) == 2
    with pytest.raises(SurveyError, match="holds no polygon tagged amenity=school"):
        read_polygons(f"{extract}#amenity=school", LAMBERT)
    assert shapely.area(lots.shapes[0]) == pytest.approx(HEIGHT * 300 * GSD**2, rel=1e-3)


def test_a_survey_by_an_osm_extract_alone(
    town: Path, extract: str, tmp_path: Path, colour_model: Path, dask: str
) -> None:
    told = survey(
        town, tmp_path / "out", colour_model, dask, area=extract, districts=extract, bays=extract, kerbs=extract
    )
    assert told["bays"] == {"free": 1, "occupied": 1, "unsure": 0, "not_seen": 0}
    rows = list(csv.DictReader((tmp_path / "out" / "districts.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["Market", "unnamed"]
    assert rows[0]["bays"] == "2"
    assert float(rows[0]["kerb_km"]) == pytest.approx(0.09, abs=1e-3)
