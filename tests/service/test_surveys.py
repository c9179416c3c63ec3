"""Surveys in the store are shown a box at a time, to people and to programs that speak OGC API Features."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

import parking.survey.results
from parking.survey.blocks import BlockContent, Found
from parking.survey.grid import Grid, grid_at
from parking.survey.mosaic import Layer
from parking.survey.records import BlockRecord, rows_of
from parking.survey.results import Gatherer
from parking.survey.sources import find_sources
from parking.survey.stretch import Stretch
from service.surveys import read_places
from tests.parking.survey.drawing import draw, write
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry

SIDE = 20
"""Places along an edge of the drawn survey, ten metres apart."""


def found(grid: Grid, west: float, north: float) -> list[Found]:
    left, top, _, _ = grid.pixels_of((west, north - 1, west + 1, north))
    step = 10 / grid.step
    places = []
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = left + column * step, top + row * step
            places.append(Found(shapely.box(x, y, x + 14, y + 28), (x + 7, y + 14), 0.9, 1))
    return places


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one survey of 400 places, whose file has row groups of 50."""
    monkeypatch.setattr(parking.survey.results, "ROW_GROUP", 50)
    sources = find_sources([str(write(tmp_path / "city.tif", draw(50, 50, 0)[0]))], 0.18)
    grid = grid_at(sources[0].crs, 0.18)
    layer = Layer(sources=tuple(sources), stretch=Stretch())
    folder = tmp_path / "store" / "surveys" / "lyon"
    folder.mkdir(parents=True)
    gatherer = Gatherer(folder, grid, None, None)
    content = BlockContent(tuple(found(grid, 652_000, 6_862_000)), (), np.ones((1, 1), bool), 1)
    gatherer.add(BlockRecord(rows_of(content, [layer], grid), 1, 1, 0.0, {(0, 0): 1}))
    gatherer.close()
    gatherer.write("place", "places")
    summary = {
        **{"places": 400, "places_interval": [380, 420], "vehicles": None, "km2": 0.04},
        **{"bounds": [2.345, 48.854, 2.349, 48.857], "imagery": {"oldest": "2024-05-01", "newest": "2024-06-01"}},
    }
    (folder / "survey.json").write_text(json.dumps(summary))
    outline = shapely.geometry.mapping(shapely.box(2.345, 48.854, 2.349, 48.857))
    row = {"name": "Old town", "free": 400, "free_low": 380, "free_high": 420, "taken": None, "share_taken": None}
    feature = {"type": "Feature", "id": 1, "properties": row | {"free_per_ha": 100}, "geometry": outline}
    (folder / "districts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return tmp_path / "store"


def test_surveys_are_listed_and_described(serve: Serve, models: dict[int, Path], store: Path) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=str(store))
    (collection,) = client.get("/surveys").json()["collections"]
    assert (collection["id"], collection["extent"]["spatial"]["bbox"]) == ("lyon", [[2.345, 48.854, 2.349, 48.857]])
    assert client.get("/surveys/lyon").json()["places"] == 400
    assert client.get("/surveys/lyon/districts").json()["features"][0]["properties"]["name"] == "Old town"
    for wrong in ("nowhere", "..", "%2e%2e", "ly%2Fon"):
        assert client.get(f"/surveys/{wrong}/places").status_code == 404


def test_places_come_by_box_and_page_each_once(serve: Serve, models: dict[int, Path], store: Path) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=str(store))
    path, seen = "/surveys/lyon/items?limit=150", list[str]()
    while path:
        answer = client.get(path)
        assert answer.headers["Content-Type"] == "application/geo+json"
        body = answer.json()
        seen += [feature["id"] for feature in body["features"]]
        path = next((link["href"] for link in body["links"] if link["rel"] == "next"), "")
    assert len(seen) == len(set(seen)) == 400
    west, south, east, north = shapely.from_geojson(json.dumps(body["features"][0]["geometry"])).bounds
    box = f"{west + 1e-7},{south + 1e-7},{east - 1e-7},{north - 1e-7}"
    assert client.get(f"/surveys/lyon/places?bbox={box}").json()["numberReturned"] == 1
    # Across the antimeridian, from 3 degrees east to 2 degrees east round the globe.
    assert client.get("/surveys/lyon/places?bbox=3,40,2,50").json()["numberReturned"] == 0
    assert client.get("/surveys/lyon/places?bbox=nonsense").status_code == 422


def test_a_small_box_reads_few_row_groups(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, read = store / "surveys" / "lyon" / "places.parquet", list[int]()
    one = pq.ParquetFile.read_row_group
    assert pq.ParquetFile(file).metadata.num_row_groups == 8

    def counted(self: pq.ParquetFile, number: int, **more: object) -> object:
        read.append(number)
        return one(self, number, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    whole = read_places(file, (-180, -90, 180, 90), 1000, 0)
    assert (len(whole), read) == (400, [*range(8)])
    read.clear()
    west, south, east, north = shapely.from_geojson(json.dumps(whole[0]["geometry"])).bounds
    assert len(read_places(file, (west, south, east, north), 1000, 0)) == 1
    assert len(read) <= 2
    # A late page counts what lies before it, and reads it only where the box cuts a group.
    read.clear()
    assert read_places(file, (-180, -90, 180, 90), 10, 390) == whole[390:]
    assert read == [7]
    cut = (-180.0, -90.0, max(shapely.geometry.shape(one["geometry"]).bounds[0] for one in whole) - 1e-9, 90.0)
    assert len(read_places(file, cut, 1000, 0)) < 400
    assert read_places(file, cut, 1000, 100) == read_places(file, cut, 1000, 0)[100:]


def test_where_images_want_a_token_surveys_do_too(serve: Serve, models: dict[int, Path], store: Path) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=str(store), auth=True, token="secret")
    for path in ("/surveys", "/surveys/lyon", "/surveys/lyon/places", "/surveys/lyon/districts"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
    assert "<title>" in client.get("/surveys/lyon", headers={"Accept": "text/html"}).text
