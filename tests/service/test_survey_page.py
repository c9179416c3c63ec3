"""A survey on a map: on the service's page and in the report, in a real browser, with the imagery below."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import shapely

import service.survey_imagery
from parking.settings import Settings
from service.app import create_app
from service.surveys import read_places
from tests.doubles import write_bright_model
from tests.parking.survey.surveying import FREE, survey_car_park
from tests.parking.survey.test_imagery import picture
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FAR, NEAR = 14, 20
"""Zooms at which single places are not shown, and are."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the survey `car-park`, and its imagery beside it."""
    folder = tmp_path_factory.mktemp("surveyed")
    survey_car_park(folder, folder / "store" / "surveys" / "car-park")
    return folder


@pytest.fixture(scope="module")
def place(folder: Path) -> tuple[float, float]:
    """Longitude and latitude of the middle of a free place."""
    found = read_places(folder / "store" / "surveys" / "car-park" / "places.parquet", (-180, -90, 180, 90), 10, 0)
    assert len(found) == len(FREE)
    middle = shapely.geometry.shape(found[0]["geometry"]).centroid
    return middle.x, middle.y


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    registry = FlippingRegistry({1: write_bright_model(folder / "1.onnx")}, serving=1)
    settings = Settings(
        _env_file=None, state_dir=folder / "state", store=str(folder / "store"), threads=1,
        survey_imagery=f"/nowhere; {folder}",
    )  # fmt: skip
    with running(create_app(settings, registry)) as found:
        yield found


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A page that asks no other host, and writes no error to its console."""
    page, wrong = browser.new_page(viewport={"width": 1000, "height": 800}), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if "//127.0.0.1" not in asked.url
            and not asked.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
    yield page
    page.close()
    assert wrong == []


def look_at(page: "Page", at: tuple[float, float], zoom: float) -> None:
    """Go there, and wait until all is drawn."""
    page.evaluate(
        "([center, zoom]) => new Promise((drawn) => { surveyShown.once('idle', drawn); "
        "surveyShown.jumpTo({ center, zoom }); })",
        [at, zoom],
    )


def drawn(page: "Page", layer: str) -> list[dict[str, Any]]:
    """What the map draws in a layer: the properties of each, and its colour."""
    found: list[dict[str, Any]] = page.evaluate(
        "(layer) => surveyShown.queryRenderedFeatures({ layers: [layer] }).map("
        "({ properties, layer }) => ({ ...properties, colour: layer.paint['fill-color'].toString() }))",
        layer,
    )
    return found


def colours_of_districts(page: "Page") -> dict[str, str]:
    return {one["name"]: one["colour"] for one in drawn(page, "districts")}


def legend(page: "Page") -> list[str]:
    """The titles of the legends that are seen, in order."""
    return sorted(page.locator(".survey-legend:visible strong").all_inner_texts())


def click(page: "Page", at: tuple[float, float]) -> str:
    """Click there; what the bubble says."""
    x, y = page.evaluate("(at) => { const { x, y } = surveyShown.project(at); return [x, y]; }", at)
    page.locator("#map canvas").click(position={"x": x, "y": y})
    return page.locator(".maplibregl-popup-content").inner_text()


def drag(page: "Page") -> None:
    """Pan by the mouse."""
    before = page.evaluate("surveyShown.getCenter().lng")
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y, steps=4)
    page.mouse.up()
    page.wait_for_function("(before) => surveyShown.getCenter().lng > before", arg=before)


def from_the_city_to_a_bay(page: "Page", place: tuple[float, float]) -> None:
    page.locator("#map[data-ready=yes]").wait_for()
    look_at(page, place, FAR)
    assert drawn(page, "places") == []
    assert legend(page) == ["Share of places taken"]
    colours = colours_of_districts(page)
    # One of three is taken in the West, all four are in the East.
    assert colours == {"West": "rgba(44,123,182,1)", "East": "rgba(215,25,28,1)"}
    drag(page)
    look_at(page, place, NEAR)
    page.wait_for_function("surveyShown.queryRenderedFeatures({ layers: ['places'] }).length > 0")
    assert legend(page) == ["Free place, confidence", "Share of places taken"]
    said = click(page, place)
    (confidence,) = {round(one["confidence"], 2) for one in drawn(page, "places")}
    assert f"confidence {confidence:.2f}" in said
    assert "imagery of 2024-05-01" in said


def test_on_the_page_a_person_pans_from_the_city_to_a_bay(
    page: "Page", address: str, place: tuple[float, float]
) -> None:
    with page.expect_response(lambda answer: "/imagery/" in answer.url) as tile:
        page.goto(f"{address}/surveys/car-park")
    assert tile.value.status == 200
    from_the_city_to_a_bay(page, place)
    assert f"{len(FREE)} places in view" in page.locator("#shown").inner_text()
    rows = page.locator("#districts tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["West", "East"]
    assert "2024-05-01" in page.locator("#age").inner_text()


def test_the_report_shows_the_same_from_a_file(page: "Page", folder: Path, place: tuple[float, float]) -> None:
    page.goto((folder / "store" / "surveys" / "car-park" / "report.html").as_uri())
    from_the_city_to_a_bay(page, place)
    assert f"{len(FREE)} free places" in page.locator("#headline").inner_text()
    assert page.locator(".bar").count() == 2
    assert "lot.tif" in page.locator("#sources").inner_text()


@pytest.fixture
def shown(serve: Serve, models: dict[int, Path], folder: Path) -> Callable[..., Any]:
    """A client of a service that shows the survey, settings by name."""

    def start(**settings: Any) -> Any:
        registry = FlippingRegistry(models, serving=1)
        return serve(registry, **{"store": str(folder / "store"), "survey_imagery": str(folder), **settings})

    return start


def tile_of(place: tuple[float, float], zoom: int = NEAR) -> str:
    row = (1 - math.asinh(math.tan(math.radians(place[1]))) / math.pi) / 2
    x, y = (int(at * 2**zoom) for at in ((place[0] + 180) / 360, row))
    return f"/surveys/car-park/imagery/{zoom}/{x}/{y}.png"


def test_tiles_show_the_imagery_that_the_survey_was_made_of(
    shown: Callable[..., Any], place: tuple[float, float]
) -> None:
    client = shown()
    links = client.get("/surveys/car-park").json()["links"]
    assert "surveys/car-park/imagery/{z}/{x}/{y}.png" in [link["href"] for link in links if link["rel"] == "tiles"]
    answer = client.get(tile_of(place))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    seen = picture(answer.content)
    assert {(250, 10, 10, 255), (250, 10, 250, 255)} <= {tuple(colour) for colour in seen.reshape(-1, 4).tolist()}
    assert client.get("/surveys/car-park/imagery/3/8/0.png").status_code == 404
    assert client.get("/surveys/nowhere/imagery/3/1/1.png").status_code == 404


def test_imagery_that_the_settings_do_not_name_is_not_shown(
    shown: Callable[..., Any], place: tuple[float, float]
) -> None:
    for places in ("", "/nowhere"):
        client = shown(survey_imagery=places)
        answer = client.get(tile_of(place))
        assert (answer.status_code, "PARKING_SURVEY_IMAGERY" in answer.json()["detail"]) == (404, True)
        assert [link["rel"] for link in client.get("/surveys/car-park").json()["links"]] == ["items"]
    guarded = shown(auth=True, token="secret")
    assert guarded.get(tile_of(place)).status_code == 401
    assert guarded.get(tile_of(place), headers={"Authorization": "Bearer secret"}).status_code == 200


def test_a_tile_that_takes_too_long_or_is_one_too_many_is_refused(
    shown: Callable[..., Any], place: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = shown(request_seconds=1e-9).get(tile_of(place))
    assert (late.status_code, "Zoom in" in late.json()["detail"]) == (504, True)
    monkeypatch.setattr(service.survey_imagery, "MOST_WAITING", 0)
    full = shown().get(tile_of(place))
    assert (full.status_code, full.headers["Retry-After"]) == (503, "1")
