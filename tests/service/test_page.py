"""The page as a person uses it, in a real browser."""

import csv
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from parking.data.imagery import encode_png
from parking.detection.geojson import IMAGE_CRS
from parking.settings import Settings
from service.app import create_app
from tests.doubles import write_bright_model, write_colour_model, write_inverted_model
from tests.parking.detection.test_scale import street
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> FlippingRegistry:
    folder = tmp_path_factory.mktemp("models")
    # 255 is a probability of 0.9996, 150 one of 0.8: two places that a threshold tells apart.
    files = {1: write_bright_model(folder / "1.onnx"), 2: write_inverted_model(folder / "2.onnx")}
    return FlippingRegistry(files, serving=1)


@pytest.fixture(scope="module")
def address(registry: FlippingRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        _env_file=None, state_dir=tmp_path_factory.mktemp("state"), reload_seconds=0.05, threads=1, max_upload_mb=1
    )
    with running(create_app(settings, registry)) as address:
        yield address


@pytest.fixture
def page(browser: "Browser", address: str, registry: FlippingRegistry) -> Iterator["Page"]:
    """The page in a fresh tab; it must not fail, break its own policy, or ask another host for anything."""
    registry.serving = 1
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.clock.install()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "load resource" not in line.text else None)

    def look_at(request: "Request") -> None:
        if not request.url.startswith((address, "blob:")):
            problems.append(f"asked {request.url}")

    page.on("request", look_at)
    page.goto(address)
    page.get_by_text("Model version 1", exact=True).wait_for()
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Two bays: a bright one that is sure, and a grey one that is not."""
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 20:37] = 255
    pixels[40:73, 100:117] = 150
    path = tmp_path / "two.bays.png"
    path.write_bytes(encode_png(pixels))
    return path


def give(page: "Page", file: Path) -> None:
    with page.expect_response("**/predict"):
        page.locator("#file").set_input_files(file)
    page.locator("#busy").wait_for(state="hidden")
    page.locator("#result").wait_for()


def count(page: "Page") -> str:
    return page.locator("#count").inner_text()


def test_a_chosen_image_shows_its_places_and_who_found_them(page: "Page", picture: Path) -> None:
    give(page, picture)
    assert count(page) == "2 free places"
    assert re.search(r"probably \d+ to \d+", page.locator("#interval").inner_text())
    facts = page.locator("#facts").inner_text()
    assert "version 1" in facts
    assert "unknown" in facts
    assert "160 \u00d7 120 pixels" in facts
    assert page.locator("#places polygon").count() == 2
    image, drawing = page.locator("#image").bounding_box(), page.locator("#places").bounding_box()
    assert image == drawing


def test_the_threshold_redraws_without_another_request(page: "Page", picture: Path) -> None:
    give(page, picture)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#threshold").fill("0.9")
    assert count(page) == "1 free place"
    assert "of 2 found" in page.locator("#interval").inner_text()
    assert page.locator("#places polygon").count() == 1
    page.locator("#threshold").fill("0.5")
    assert count(page) == "2 free places"
    assert asked == []


def test_a_place_tells_its_confidence_and_area_to_mouse_and_keyboard(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.locator("#places polygon").nth(0).hover()
    assert re.fullmatch(r"Confidence \d+ %, area 1[2-4]\.\d m²", page.locator("#tip").inner_text())
    page.mouse.move(0, 0)
    page.locator("#places").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#chosen").inner_text().startswith("Place 1 of 2: Confidence")
    page.keyboard.press("ArrowRight")
    assert page.locator("#chosen").inner_text().startswith("Place 2 of 2")
    before = page.locator("#stage").evaluate("stage => stage.offsetWidth")
    page.keyboard.press("+")
    assert page.locator("#stage").evaluate("stage => stage.offsetWidth") > before


def test_everything_is_reached_by_the_tab_key(page: "Page", picture: Path) -> None:
    give(page, picture)
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"places", "file", "threshold", "Car park", "GeoJSON", "PNG", "CSV", "Fit"} <= reached


def saved(page: "Page", kind: str) -> Path:
    with page.expect_download() as download:
        page.locator(f"[data-download={kind}]").click()
    path: Path = download.value.path()
    assert download.value.suggested_filename.startswith("two.bays.")
    return path


def test_what_is_shown_can_be_taken_home(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.locator("#threshold").fill("0.9")
    collection = json.loads(saved(page, "geojson").read_text())
    (feature,) = collection["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in itertools.pairwise(ring)) < 0, "clockwise"
    assert collection["coordinate_system"] == "image"
    assert collection["crs"] == IMAGE_CRS
    assert collection["model_version"] == "1"
    (row,) = csv.DictReader(saved(page, "csv").read_text().splitlines())
    assert (float(row["x"]), float(row["y"])) == pytest.approx((28.5, 56.5), abs=1)
    with Image.open(saved(page, "png")) as image:
        assert image.size == (160, 120)
        red, green, _, _ = image.convert("RGBA").getpixel((28, 41))  # type: ignore[misc]
        assert green > red


def test_the_samples_are_answered(page: "Page") -> None:
    for name in ("Car park", "Square", "Street"):
        with page.expect_response("**/predict"):
            page.get_by_role("button", name=name).click()
        page.locator("#busy").wait_for(state="hidden")
        assert page.locator("#problem").is_hidden()
        assert "768 \u00d7 768 pixels" in page.locator("#facts").inner_text()


def test_a_bad_file_is_explained_and_leaves_the_last_answer(page: "Page", picture: Path, tmp_path: Path) -> None:
    give(page, picture)
    (tmp_path / "notes.png").write_text("hello")
    page.locator("#file").set_input_files(tmp_path / "notes.png")
    page.locator("#problem").wait_for()
    told = page.locator("#problem").inner_text()
    assert "'notes.png' is not a PNG" in told
    assert re.search("Request [0-9a-f]{32}", told)
    assert count(page) == "2 free places"
    give(page, picture)
    assert page.locator("#problem").is_hidden()


def test_an_image_that_was_given_up_is_not_shown_when_it_is_decoded_at_last(page: "Page", picture: Path) -> None:
    page.evaluate(
        """() => {
          const decode = HTMLImageElement.prototype.decode;
          let slow = true;
          HTMLImageElement.prototype.decode = async function () {
            if (slow) {
              slow = false;
              await new Promise((resolve) => (window.decoded = resolve));
            }
            return decode.call(this);
          };
        }"""
    )
    slow = picture.with_name("slow.png")
    slow.write_bytes(encode_png(np.full((300, 500, 3), 20, np.uint8)))
    page.locator("#file").set_input_files(slow)
    wait_until(lambda: page.evaluate("Boolean(window.decoded)"))
    give(page, picture)
    page.evaluate("window.decoded()")
    page.evaluate("() => document.getElementById('image').decode()")
    assert page.locator("#image").evaluate("image => image.naturalWidth") == 160
    assert page.locator("#places polygon").count() == 2


def test_a_file_that_is_too_large_is_not_sent(page: "Page", tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(b"x" * 2 * 2**20)
    page.locator("#file").set_input_files(tmp_path / "large.png")
    page.locator("#problem").wait_for()
    assert "2.0 MiB; the service takes 1" in page.locator("#problem").inner_text()


def test_a_service_that_is_away_is_said_and_tried_again(page: "Page", picture: Path) -> None:
    page.route("**/predict", lambda route: route.abort())
    page.locator("#file").set_input_files(picture)
    page.get_by_text("The service does not answer").wait_for()
    page.unroute("**/predict")
    page.get_by_role("button", name="Try again").click()
    page.locator("#result").wait_for()
    assert page.locator("#problem").is_hidden()


def test_a_tiff_that_no_browser_shows_is_shown(page: "Page", picture: Path, tmp_path: Path) -> None:
    with Image.open(picture) as image:
        image.save(tmp_path / "plain.tif")
    give(page, tmp_path / "plain.tif")
    assert count(page) == "2 free places"
    assert page.locator("#image").evaluate("image => image.naturalWidth") == 160


def test_a_new_version_is_announced(page: "Page", picture: Path, registry: FlippingRegistry, address: str) -> None:
    give(page, picture)
    assert page.locator("#news").is_hidden()
    registry.serving = 2

    def noticed() -> bool:
        page.clock.run_for(10_000)
        return page.locator("#news").is_visible()

    wait_until(noticed)
    assert "version 2 answers now; what you see is from version 1" in page.locator("#news").inner_text()
    page.get_by_role("button", name="Look again").click()
    page.locator("#news").wait_for(state="hidden")
    assert "version 2" in page.locator("#facts").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_the_dark(page: "Page", picture: Path, scheme: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    give(page, picture)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in re.findall(r"\d+", ground)) / 3
    assert light < 40 if scheme == "dark" else light > 200
    smallest = page.evaluate("Math.min(...[...document.querySelectorAll('aside button')].map(b => b.offsetHeight))")
    assert smallest >= 40, "too small for a thumb"


def test_the_page_says_what_it_may_load(serve: Serve, models: dict[int, Path]) -> None:
    client: TestClient = serve(FlippingRegistry(models, serving=1))
    for path in ("/", "/static/app.js", "/static/style.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
    assert client.get("/static/../routes.py").status_code == 404
    assert client.get("/static/%2e%2e/routes.py").status_code == 404


def test_a_person_says_which_place_is_wrong_and_outlines_one_that_is_missing(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.get_by_role("button", name="Wrong place").click()
    assert page.locator("#feedback-said").inner_text() == "Click the wrong place in the image first."
    page.locator("#places polygon").nth(1).click()
    page.get_by_role("button", name="Wrong place").click()
    assert page.locator("#places polygon.wrong").count() == 1
    page.get_by_role("button", name="Missing place").click()
    drawing = page.locator("#places").bounding_box()
    assert drawing is not None
    for x, y in ((60, 40), (77, 40), (77, 73), (60, 73)):
        page.mouse.click(drawing["x"] + x / 160 * drawing["width"], drawing["y"] + y / 120 * drawing["height"])
    assert page.locator("#places polygon.added").count() == 1
    with page.expect_response("**/feedback") as sent:
        page.get_by_role("button", name="Send: 1 wrong, 1 missing").click()
    said = json.loads(sent.value.request.post_data or "")
    assert said["removed"] == [1]
    assert np.allclose(said["added"], [[[60, 40], [77, 40], [77, 73], [60, 73]]], atol=1)
    assert sent.value.status == 200
    page.get_by_text("Thank you. F1 of the answer: 50 %.").wait_for()
    assert page.locator("#places polygon.wrong, #places polygon.added").count() == 0


def test_an_answer_that_is_right_takes_one_click(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.get_by_role("button", name="All right").click()
    page.get_by_text("Thank you. F1 of the answer: 100 %.").wait_for()


def test_the_api_is_drawn_without_another_host(page: "Page", address: str) -> None:
    page.goto(f"{address}/docs")
    page.get_by_text("/predict/batch").click()
    page.get_by_role("button", name="Try it out").first.wait_for()


def test_a_missing_place_is_outlined_by_the_keyboard_alone(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.locator("#missing").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "places"
    page.locator("#places .cross").wait_for(state="attached")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press(key)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#places polygon.added").count() == 1
    assert page.locator("#places .cross").count() == 0
    with page.expect_response("**/feedback") as sent:
        page.get_by_role("button", name="Send: 1 missing").click()
    (ring,) = json.loads(sent.value.request.post_data or "")["added"]
    assert ring == [[80, 60], [92, 60], [92, 72], [79, 72]]


def test_outlining_is_given_up_with_escape(page: "Page", picture: Path) -> None:
    give(page, picture)
    page.locator("#missing").press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "missing"
    assert page.locator("#places .cross, #places .added").count() == 0
    page.locator("#places").press("ArrowRight")
    assert page.locator("#chosen").inner_text().startswith("Place 1 of 2"), "the arrows choose places again"


def test_a_person_may_say_the_resolution(page: "Page", picture: Path) -> None:
    give(page, picture)
    assert float(page.locator("#gsd").input_value()) == 0.15
    assert "assumed" in page.locator("#gsd-source").inner_text()
    page.locator("#gsd").fill("0.075")
    with page.expect_response("**/predict?gsd=0.075"):
        page.get_by_role("button", name="Ask again").click()
    page.get_by_text("as you said", exact=True).wait_for()
    assert float(page.locator("#gsd").input_value()) == 0.075
    give(page, picture)
    assert float(page.locator("#gsd").input_value()) == 0.15, "it was said of another image"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose model sees vehicles, too."""
    model = write_colour_model(tmp_path_factory.mktemp("colour") / "1.onnx")
    settings = Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("state"), reload_seconds=0.05, threads=1)
    with running(create_app(settings, FlippingRegistry({1: model}, serving=1))) as address:
        yield address


def test_vehicles_are_drawn_and_can_be_hidden(browser: "Browser", seeing: str, tmp_path: Path) -> None:
    file = tmp_path / "street.png"
    file.write_bytes(encode_png(street(0.15).pixels))
    page = browser.new_page()
    page.goto(seeing)
    page.set_input_files("#file", file)
    page.wait_for_selector("#vehicles polygon")
    assert page.locator("#vehicles polygon").count() == 8
    assert page.locator("#places polygon").count() == 3
    assert page.inner_text("#taken") == "8 vehicles, 73 % taken"
    page.uncheck("#show-vehicles")
    assert not page.locator("#vehicles polygon").first.is_visible()
    page.close()
