"""Imagery of servers: what it shows is what a file shows, and what goes wrong with it is said."""

import errno
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image
from pyproj import Transformer

from parking.errors import SurveyError
from parking.survey.http import Access, HostError, fetch, shown
from parking.survey.inputs import find_imagery
from parking.survey.request import SurveyRequest
from parking.survey.run import run_survey
from parking.survey.tile_layer import Wanted
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, draw, write
from tests.parking.survey.map_server import ATTRIBUTION, MapServer, Reply, map_server

pytestmark = [
    pytest.mark.e2e,
    # MapProxy leaves it to Python to close the tiles that it has read.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore:Exception ignored in. <_io.FileIO"),
]
HEIGHT, WIDTH = 200, 320
KINDS = ("wms", "wmts", "xyz")
EXCEPTION = Reply(
    "200 OK",
    b'<?xml version="1.0"?><ServiceExceptionReport><ServiceException code="LayerNotDefined">The layer sleeps'
    b"</ServiceException></ServiceExceptionReport>",
    {"Content-Type": "text/xml"},
)


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, int]:
    return draw(HEIGHT, WIDTH, 10, seed=5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, mosaic: tuple[np.ndarray, int]) -> Iterator[MapServer]:
    with map_server(tmp_path_factory.mktemp("map"), mosaic[0]) as server:
        yield server


@pytest.fixture
def server(running: MapServer) -> MapServer:
    running.forget()
    return running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long would have been waited."""
    waited = list[float]()
    monkeypatch.setattr("parking.survey.tile_cache.fetch", lambda *of: fetch(*of, sleep=waited.append))
    return waited


def bbox(left: float = 0, top: float = 0, right: float = WIDTH, bottom: float = HEIGHT) -> tuple[float, ...]:
    to_degrees = Transformer.from_crs(LAMBERT, "OGC:CRS84", always_xy=True)
    return to_degrees.transform_bounds(
        WEST + left * GSD, NORTH - bottom * GSD, WEST + right * GSD, NORTH - top * GSD, densify_pts=21
    )


def request(source: str, out: Path, **more: Any) -> SurveyRequest:
    return SurveyRequest(**{"sources": (source,), "out": str(out), "bbox": bbox(), "block": 200, **more})


def access(server: MapServer, **more: Any) -> Access:
    return Access(hosts=(server.host,), **more)


def points(out: Path) -> np.ndarray:
    """Middles of the places in metres, from north to south."""
    shapes = shapely.from_wkb(pq.read_table(out / "places.parquet")["geometry"].to_numpy())
    at = shapely.get_coordinates(shapely.centroid(shapes))
    moved = np.column_stack(Transformer.from_crs("OGC:CRS84", LAMBERT, always_xy=True).transform(*at.T))
    return moved[np.lexsort(moved.T)]


@pytest.fixture(scope="module")
def of_the_file(
    tmp_path_factory: pytest.TempPathFactory, mosaic: tuple[np.ndarray, int], model: Path, dask: str
) -> np.ndarray:
    """Middles of the places that are found in the mosaic as a GeoTIFF."""
    folder = tmp_path_factory.mktemp("file")
    run_survey(request(str(write(folder / "city.tif", mosaic[0])), folder / "out"), model, dask=dask)
    return points(folder / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_the_places_of_a_server_are_those_of_the_file(
    kind: str, server: MapServer, of_the_file: np.ndarray, tmp_path: Path, model: Path, dask: str
) -> None:
    told = run_survey(request(getattr(server, kind), tmp_path / "out"), model, dask=dask, access=access(server))
    assert told["places"] == len(of_the_file)
    assert told["blocks"]["count"] > 1
    off = np.hypot(*(points(tmp_path / "out") - of_the_file).T)
    assert off.max() < 2 * GSD
    assert len(server.asked) == len(set(server.asked)), "a tile was asked for twice"
    (source,) = json.loads((tmp_path / "out" / "survey.json").read_text())["sources"]
    assert source["attribution"] == {"wms": ATTRIBUTION, "wmts": "The drawers", "xyz": ""}[kind]
    assert source["date"] is None


def test_a_run_that_goes_on_asks_for_nothing_twice(
    server: MapServer, mosaic: tuple[np.ndarray, int], tmp_path: Path, model: Path, dask: str, no_waiting: list[float]
) -> None:
    broken = threading.Event()
    broken.set()
    served = list[str]()

    def fault(asked: str) -> Reply | None:
        if broken.is_set() and len(served) > 3:
            return Reply("503 Service Unavailable")
        served.append(asked)
        return None

    server.fault = fault
    asked = request(server.xyz, tmp_path / "out", attribution="© me")
    with pytest.raises(SurveyError, match=r"answers 503\. Run the same command later"):
        run_survey(asked, model, dask=dask, access=access(server, requests=1))
    broken.clear()
    told = run_survey(asked, model, dask=dask, access=access(server))
    assert (told["places"], told["blocks"]["failed"]) == (mosaic[1], [])
    assert told["sources"][0]["attribution"] == "© me"
    assert len(served) == len(set(served))
    server.asked.clear()
    run_survey(asked, model, dask="tcp://127.0.0.1:1", access=access(server))
    assert server.asked == []


def test_no_more_requests_than_allowed_are_under_way(server: MapServer, tmp_path: Path, model: Path, dask: str) -> None:
    def slow(asked: str) -> None:
        time.sleep(0.05)

    server.fault = slow
    run_survey(request(server.xyz, tmp_path / "out"), model, dask=dask, access=access(server, requests=2))
    assert 1 <= server.most_at_once <= 2


def test_a_busy_server_is_asked_again_as_late_as_it_wants(server: MapServer) -> None:
    replies = [
        Reply("429 Too Many Requests", headers={"Retry-After": "7"}),
        Reply("503 Service Unavailable", headers={
            "Date": "Sat, 01 Jan 2028 00:00:00 GMT", "Retry-After": "Sat, 01 Jan 2028 00:00:30 GMT",
        }),
        Reply("500 Internal Server Error"),
        Reply("200 OK", b"here", {"Content-Type": "text/plain; charset=utf-8"}),
    ]  # fmt: skip
    server.fault = lambda _: replies.pop(0)
    waited = list[float]()
    answer = fetch(f"{server.address}/x", access(server), sleep=waited.append)
    assert answer is not None
    assert (answer.body, answer.kind) == (b"here", "text/plain")
    assert waited == [7, 30, 4]


def test_a_server_that_wants_an_hour_or_never_answers_is_given_up(server: MapServer) -> None:
    server.fault = lambda _: Reply("503 Service Unavailable", headers={"Retry-After": "3600"})
    with pytest.raises(SurveyError, match="asks to wait 3600 s"):
        fetch(f"{server.address}/x", access(server))
    server.fault = lambda _: Reply("503 Service Unavailable")
    waited = list[float]()
    with pytest.raises(SurveyError, match="after 5 tries: it answers 503"):
        fetch(f"{server.address}/x", access(server), sleep=waited.append)
    assert waited == [1, 2, 4, 8]
    with pytest.raises(SurveyError, match="it cannot be reached"):
        fetch("http://127.0.0.1:1/x", Access(hosts=("127.0.0.1:1",)), sleep=waited.append)
    server.fault = lambda _: Reply("403 Forbidden", b"No key", {"Content-Type": "text/plain"})
    with pytest.raises(SurveyError, match=r"answers 403 \(No key\)"):
        fetch(f"{server.address}/x?key=secret", access(server))


def test_only_hosts_that_are_allowed_are_asked(server: MapServer, tmp_path: Path, model: Path) -> None:
    for source in (server.wms, server.wmts, server.xyz):
        with pytest.raises(HostError, match=f"PARKING_IMAGERY_HOSTS={server.host}"):
            run_survey(request(source, tmp_path / "out"), model)
    assert server.asked == []
    assert not (tmp_path / "out" / "survey.json").exists()
    port = urlsplit(server.address).port
    for allowed in ("127.0.0.1", "127.0.0.1:1", "*.0.0.1", f"localhost:{port}"):
        with pytest.raises(HostError):
            Access(hosts=(allowed,)).check(server.address)
    Access(hosts=("*.example.org",)).check("https://tiles.example.org/x")
    for other in ("https://example.org.evil.net/", "https://evilexample.org/", "https://example.org:8443/"):
        with pytest.raises(HostError):
            Access(hosts=("example.org", "*.example.org")).check(other)
    with pytest.raises(SurveyError, match="netrc"):
        Access(hosts=("example.org",)).check("https://me:secret@example.org/")
    with pytest.raises(SurveyError, match="no port that can be"):
        Access(hosts=("example.org",)).check("https://example.org:99999/")
    with pytest.raises(SurveyError, match="no address of a server"):
        Access(hosts=("example.org",)).check("file:///etc/passwd")


def test_a_redirect_is_followed_to_allowed_hosts_alone(server: MapServer) -> None:
    other = f"http://localhost:{urlsplit(server.address).port}"

    def fault(asked: str) -> Reply:
        target = {"/near": "/end", "/far": f"{other}/end", "/round": "/round"}.get(asked)
        return Reply("302 Found", headers={"Location": target}) if target else Reply("200 OK", b"end")

    server.fault = fault
    answer = fetch(f"{server.address}/near", access(server))
    assert answer is not None
    assert answer.body == b"end"
    server.asked.clear()
    with pytest.raises(HostError, match="sends us to another server"):
        fetch(f"{server.address}/far", access(server))
    assert server.asked == ["/far"]
    with pytest.raises(SurveyError, match="without end"):
        fetch(f"{server.address}/round", access(server))


def test_an_exception_with_status_200_is_a_failure_and_no_empty_ground(
    server: MapServer, tmp_path: Path, model: Path, dask: str
) -> None:
    server.fault = lambda asked: EXCEPTION if "GetMap" in asked else None
    with pytest.raises(SurveyError, match=r"No block .* but says: The layer sleeps"):
        run_survey(request(server.wms, tmp_path / "out"), model, dask=dask, access=access(server))
    assert not list((tmp_path / "out").glob("*.gpkg"))
    server.fault = lambda asked: EXCEPTION if "GetCapabilities" in asked else None
    with pytest.raises(SurveyError, match="refuses to say what it has: The layer sleeps"):
        run_survey(request(server.wms, tmp_path / "other"), model, dask=dask, access=access(server))
    # What could not be understood was not kept.
    server.forget()
    assert find_imagery([server.wms], GSD, wanted(server, tmp_path / "other" / ".survey" / "imagery"))


def test_blank_and_missing_tiles_are_ground_that_nobody_saw(
    server: MapServer, mosaic: tuple[np.ndarray, int], tmp_path: Path, model: Path, dask: str
) -> None:
    white = tmp_path / "white.png"
    Image.new("RGB", (256, 256), (255, 255, 255)).save(white)
    blank = Reply("200 OK", white.read_bytes(), {"Content-Type": "image/png"})
    missing = Reply("404 Not Found")

    def fault(asked: str) -> Reply | None:
        if not asked.endswith(".png"):
            return None
        return (None, blank, missing)[int(asked.split("/")[-2]) % 3]

    server.fault = fault
    told = run_survey(request(server.xyz, tmp_path / "out"), model, dask=dask, access=access(server))
    assert 0 < told["places"] < mosaic[1]
    whole = HEIGHT * WIDTH * GSD**2 / 1e6
    assert 0.1 * whole < told["km2"] < 0.9 * whole
    server.fault = lambda asked: blank if "GetMap" in asked else None
    blank_wms = tmp_path / "large.png"
    Image.new("RGB", (1024, 1024), (255, 255, 255)).save(blank_wms)
    blank.body = blank_wms.read_bytes()
    with pytest.raises(SurveyError, match="shows nothing in the area"):
        run_survey(request(server.wms, tmp_path / "blank"), model, dask=dask, access=access(server))
    assert not list((tmp_path / "blank").glob("[!.]*"))


def wanted(server: MapServer, cache: Path, **more: Any) -> Wanted:
    return Wanted(**{"bounds": bbox(), "gsd": GSD, "access": access(server), "cache": str(cache), **more})


def test_what_is_wrong_with_an_address_is_said_in_a_sentence(server: MapServer, tmp_path: Path) -> None:
    def refused(place: str, **more: Any) -> str:
        with pytest.raises(SurveyError) as error:
            find_imagery([place], GSD, wanted(server, tmp_path / "cache", **more))
        return str(error.value)

    assert "add layers=NAME" in refused(f"wms:{server.address}/service")
    assert "has no layer 'sea'; it has ortho" in refused(f"wms:{server.address}/service?layers=sea")
    assert "has no EPSG:32631" in refused(f"{server.wms}&crs=EPSG:32631")
    assert "add layer=NAME" in refused(f"wmts:{server.address}/wmts/1.0.0/WMTSCapabilities.xml")
    assert "it has ortho, mercator" in refused(f"wmts:{server.address}/wmts/1.0.0/WMTSCapabilities.xml?layer=sea")
    assert "it has web" in refused(f"{server.wmts}&tilematrixset=sea")
    assert "There is nothing at" in refused(f"wmts:{server.address}/nowhere.xml?layer=sea")
    assert "does not say what it has" in refused(f"wms:{server.address}/?layers=ortho")
    assert "needs {x}" in refused(f"{server.address}/{{x}}/{{y}}.png")
    assert "{s}, which cannot be filled in" in refused(f"{server.address}/{{s}}/{{z}}/{{x}}/{{y}}.png")
    assert "does not say where it ends" in refused(server.xyz, bounds=None)
    assert "touches no imagery" in refused(server.wms, bounds=(10, 50, 11, 51))
    assert "has no tile in the area at zoom" in refused(server.xyz, bounds=(10, 50, 10.01, 50.01))
    assert "antimeridian" in refused(server.xyz, bounds=(179, 50, -179, 51))


def test_what_is_no_tile_is_said_and_not_kept(server: MapServer, tmp_path: Path, model: Path, dask: str) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)).save(small)
    for reply, reason in (
        (Reply("200 OK", small.read_bytes()), "100 by 100 pixels instead of 256"),
        (Reply("200 OK", small.read_bytes()[:20]), "answers no image|damaged image"),
        (Reply("200 OK", b"<html>Log in</html>", {"Content-Type": "text/html"}), "but says: Log in"),
    ):
        server.fault = lambda asked, reply=reply: reply if asked.endswith(".png") else None  # type: ignore[misc]
        with pytest.raises(SurveyError, match=reason):
            find_imagery([server.xyz], GSD, wanted(server, tmp_path / "cache"))
    server.forget()
    assert find_imagery([server.xyz], GSD, wanted(server, tmp_path / "cache"))[0].gsd == pytest.approx(0.0982, abs=1e-3)
    # Where the server has no such zoom, the next one is taken.
    server.fault = lambda asked: Reply("404 Not Found") if "/20/" in asked else None
    assert find_imagery([server.xyz], GSD, wanted(server, tmp_path / "next"))[0].gsd == pytest.approx(0.1964, abs=1e-3)


def test_a_full_disk_is_said_and_leaves_no_half_tile(
    server: MapServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("parking.survey.tile_cache.write_whole", full)
    with pytest.raises(SurveyError, match=r"No space left on device\. Free some space"):
        find_imagery([server.xyz], GSD, wanted(server, tmp_path / "cache"))
    assert not list((tmp_path / "cache").rglob("*.png"))


def test_what_may_be_a_key_is_not_shown() -> None:
    assert (
        shown("https://host/wms?layers=a,b&apikey=secret&TIME=2023")
        == "https://host/wms?layers=a,b&apikey=***&TIME=2023"
    )
    assert shown("https://host/{z}/{x}/{y}.png?token=secret") == "https://host/{z}/{x}/{y}.png?token=***"
