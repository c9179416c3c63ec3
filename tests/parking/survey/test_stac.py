"""STAC as a source: items, item collections, collections and a server's pages."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pystac
import pytest
from pyproj import Transformer

from parking.errors import SurveyError
from parking.survey.http import Access, HostError
from parking.survey.inputs import find_imagery
from parking.survey.remote import _chunk
from parking.survey.request import SurveyRequest
from parking.survey.run import run_survey
from parking.survey.sources import Source
from parking.survey.tile_layer import Wanted
from tests.parking.survey.drawing import GSD, LAMBERT, at, draw, write

WIDTH, HEIGHT = 300, 200


class _Files(SimpleHTTPRequestHandler):
    """Files of a folder, by ranges as GDAL asks for them; `/away/…` is elsewhere."""

    away = ""
    asked: ClassVar[list[str]] = []
    hosts: ClassVar[set[str]] = set()
    moved: ClassVar[bool] = False
    """Whether rasters have gone away."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.hosts.add(self.headers["Host"].partition(":")[0])
        if self.moved and self.path.endswith(".tif") and self.headers["Host"].startswith("127.0.0.1"):
            self.path = f"/away{self.path}"
        if self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", f"{self.away}{self.path.removeprefix('/away')}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not (Path(self.directory) / self.path.partition("?")[0].lstrip("/")).is_file():
            self.send_error(404)
            return
        data = (Path(self.directory) / self.path.partition("?")[0].lstrip("/")).read_bytes()
        first, last = 0, len(data) - 1
        if wanted := self.headers.get("Range"):
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(last, int(end or last))
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", str(hash(data)))
        self.end_headers()
        self.wfile.write(data[first : last + 1])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of the files in tmp_path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def box(column: int = 0, width: int = WIDTH) -> list[float]:
    west, north = at(0, column) @ (0, 0)
    east, south = at(0, column) @ (width, HEIGHT)
    return list(Transformer.from_crs(LAMBERT, "OGC:CRS84", always_xy=True).transform_bounds(west, south, east, north))


def item(name: str, taken: str, assets: dict[str, dict[str, Any]], bbox: list[float] | None = None) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None,
        "bbox": bbox or box(),
        "properties": {"datetime": f"{taken}T10:00:00Z", "providers": [{"name": "Town of Drawn"}]},
        "links": [],
        "assets": assets,
    }


def asset(href: str, *roles: str) -> dict[str, Any]:
    return {"href": href, "type": pystac.MediaType.COG, "roles": list(roles)}


def found(place: Path | str, bounds: Any = None, access: Access | None = None, **more: Any) -> list[Source]:
    wanted = Wanted(bounds=bounds, gsd=GSD, access=access or Access(), cache="", **more)
    return find_imagery([str(place)], GSD, wanted)


def test_items_give_rasters_their_names_dates_and_attribution(tmp_path: Path, model: Path, dask: str) -> None:
    pixels, bays = draw(HEIGHT, WIDTH, 12, seed=7)
    for name, left in (("west", 0), ("east", WIDTH // 2)):
        write(tmp_path / "cogs" / f"{name}.tif", pixels[:, left : left + WIDTH // 2], transform=at(0, left))
    items = [
        item("flight-west", "2023-05-01", {"image": asset("cogs/west.tif", "visual")}, box(0, WIDTH // 2)),
        item("flight-east", "2024-05-01", {"image": asset("cogs/east.tif", "visual")}, box(WIDTH // 2, WIDTH // 2)),
    ]
    document = tmp_path / "items.json"
    document.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    asked = SurveyRequest(sources=(str(document),), out=str(tmp_path / "out"), block=200)
    told = run_survey(asked, model, dask=dask)
    assert told["places"] == bays
    assert told["imagery"] == {"oldest": "2023-05-01", "newest": "2024-05-01", "undated": 0}
    assert {(one["name"], one["attribution"]) for one in told["sources"]} == {
        ("flight-west", "Town of Drawn"),
        ("flight-east", "Town of Drawn"),
    }
    (tmp_path / "item.json").write_text(json.dumps(items[0]))
    assert [one.name for one in found(tmp_path / "item.json")] == ["flight-west"]
    west, south, _, north = box(0, WIDTH // 2)
    assert [one.name for one in found(document, (west, south, west + 1e-5, north))] == ["flight-west"]
    with pytest.raises(SurveyError, match="no raster in the area"):
        found(document, (10.0, 50.0, 11.0, 51.0))


def test_a_collection_lists_its_items(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", draw(50, 50, 0)[0])
    whole = pystac.Collection(
        "town",
        "A town",
        pystac.Extent(pystac.SpatialExtent([box()]), pystac.TemporalExtent([[datetime(2022, 1, 1), None]])),
        providers=[pystac.Provider("Town of Drawn")],
    )
    one = pystac.Item.from_dict(item("a", "2022-01-02", {"data": asset(str(tmp_path / "a.tif"), "data")}))
    del one.properties["providers"]
    whole.add_item(one)
    whole.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    (source,) = found(tmp_path / "stac" / "collection.json")
    assert (source.name, str(source.date), source.attribution) == ("a", "2022-01-02", "Town of Drawn")


def test_the_asset_in_true_colours_is_taken_or_the_one_that_is_named(tmp_path: Path) -> None:
    for name in ("visual", "red", "nir", "thumb"):
        write(tmp_path / f"{name}.tif", draw(50, 50, 0)[0])
    assets = {
        "red": asset("red.tif", "data"),
        "nir": asset("nir.tif", "data"),
        "visual": asset("visual.tif", "visual"),
        "thumbnail": asset("thumb.tif", "thumbnail"),
    }
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("a", "2022-01-02", assets)))
    assert found(path)[0].path.endswith("visual.tif")
    assert found(path, asset="nir")[0].path.endswith("nir.tif")
    with pytest.raises(SurveyError, match="--asset"):
        found(path, asset="swir")
    del assets["visual"]
    path.write_text(json.dumps(item("a", "2022-01-02", assets)))
    with pytest.raises(SurveyError, match=r"several rasters \(red, nir\)"):
        found(path)


def test_documents_and_rasters_of_servers_are_read_of_allowed_hosts(tmp_path: Path, served: str) -> None:
    write(tmp_path / "a.tif", draw(50, 50, 0)[0])
    first = item("a", "2022-01-02", {"data": asset(f"{served}/a.tif?sig=secret", "data")})
    second = item("b", "2022-01-03", {"data": asset(f"{served}/away/a.tif", "data")})
    pages = {
        "one.json": {"features": [first], "links": [{"rel": "next", "href": f"{served}/two.json"}]},
        "two.json": {"features": [second], "links": []},
    }
    for name, page in pages.items():
        (tmp_path / name).write_text(json.dumps({"type": "FeatureCollection", **page}))
    _Files.away = served
    allowed = Access(hosts=(served.removeprefix("http://"),))
    assert [one.name for one in found(f"{served}/one.json", access=allowed)] == ["b", "a"]
    with pytest.raises(HostError, match="PARKING_IMAGERY_HOSTS"):
        found(f"{served}/one.json")
    (tmp_path / "local.json").write_text(json.dumps(first))
    with pytest.raises(HostError, match="PARKING_IMAGERY_HOSTS"):
        found(tmp_path / "local.json")
    _Files.away = served.replace("127.0.0.1", "localhost")
    with pytest.raises(HostError, match="sends us to another server"):
        found(f"{served}/two.json", access=allowed)


def test_links_of_documents_lead_to_allowed_hosts_alone(tmp_path: Path, served: str) -> None:
    write(tmp_path / "a.tif", draw(50, 50, 0)[0])
    other = served.replace("127.0.0.1", "localhost")
    one = item("a", "2022-01-02", {"data": asset(str(tmp_path / "a.tif"), "data")})
    del one["properties"]["providers"]
    one["links"] = [{"rel": rel, "href": f"{other}/collection.json"} for rel in ("collection", "parent", "root")]
    (tmp_path / "item.json").write_text(json.dumps(one))
    _Files.asked.clear()
    assert found(tmp_path / "item.json")[0].attribution == ""
    assert _Files.asked == []
    catalog = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "d"}
    catalog["links"] = [{"rel": "child", "href": f"{other}/collection.json"}]  # type: ignore[assignment]
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    with pytest.raises(HostError, match="PARKING_IMAGERY_HOSTS"):
        found(tmp_path / "catalog.json")
    assert _Files.asked == []


def test_a_server_names_no_files_of_this_machine(tmp_path: Path, served: str) -> None:
    raster = write(tmp_path / "a.tif", draw(50, 50, 0)[0])
    allowed = Access(hosts=(served.removeprefix("http://"),))
    for href in (str(raster), f"file://{raster}", "/vsizip/a.zip/a.tif"):
        (tmp_path / "item.json").write_text(json.dumps(item("a", "2022-01-02", {"data": asset(href, "data")})))
        with pytest.raises(SurveyError, match=r"no address of a server|answers 404"):
            found(f"{served}/item.json", access=allowed)


def test_what_is_no_stac_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    for text in ("{", "[]", '{"type": "Feature"}', '{"type": "FeatureCollection", "features": [{}]}', "3"):
        path.write_text(text)
        with pytest.raises(SurveyError, match="no document of STAC"):
            found(path)
    with pytest.raises(SurveyError, match="cannot be read"):
        found(tmp_path / "nowhere.json")
    path.write_text(json.dumps(item("a", "2022-01-02", {"data": asset("gone.tif", "data")})))
    with pytest.raises(SurveyError, match="which is not there"):
        found(path)


def test_a_redirect_to_another_host_while_blocks_are_read_is_refused(
    tmp_path: Path, served: str, model: Path, dask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, bays = draw(HEIGHT, WIDTH, 12, seed=7)
    write(tmp_path / "a.tif", pixels)
    one = item("a", "2024-05-01", {"image": asset(f"{served}/a.tif", "visual")})
    (tmp_path / "item.json").write_text(json.dumps(one))
    asked = SurveyRequest(sources=(str(tmp_path / "item.json"),), out=str(tmp_path / "out"), block=200)
    access = Access(hosts=(served.removeprefix("http://"),))
    monkeypatch.setattr(_Files, "away", served.replace("127.0.0.1", "localhost"))

    def found_and_moved(*places: Any, **more: Any) -> Any:
        sources = find_imagery(*places, **more)
        _chunk.cache_clear()
        monkeypatch.setattr(_Files, "moved", True)
        _Files.hosts.clear()
        return sources

    with monkeypatch.context() as patch:
        patch.setattr("parking.survey.run.find_imagery", found_and_moved)
        with pytest.raises(
            SurveyError, match=r"sends us to another server\. The host 'localhost:\d+' may not be asked"
        ):
            run_survey(asked, model, dask=dask, access=access)
    assert _Files.hosts == {"127.0.0.1"}
    monkeypatch.setattr(_Files, "moved", False)
    assert run_survey(asked, model, dask=dask, access=access)["places"] == bays
