"""Every page is for everybody: axe-core finds no barrier, in light and in dark."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parking.data.imagery import encode_png
from parking.settings import Settings
from parking.storage import FolderStore
from service.app import create_app
from tests.doubles import write_bright_model
from tests.parking.survey.surveying import survey_car_park
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.test_drift_history import fill
from tests.tools import node_tool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder, whose store has a survey."""
    folder = tmp_path_factory.mktemp("service")
    survey_car_park(folder, folder / "store" / "surveys" / "car-park")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    registry = FlippingRegistry({1: write_bright_model(folder / "1.onnx")}, serving=1)
    store = fill(FolderStore(folder / "store"))
    settings = Settings(_env_file=None, state_dir=folder, store=store.url, reload_seconds=0.05, threads=1)
    with running(create_app(settings, registry)) as found:
        yield found


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: "Browser", address: str) -> Iterator["Page"]:
    context = browser.new_context(base_url=address, color_scheme=request.param)
    yield context.new_page()
    context.close()


def with_an_answer(page: "Page", picture: Path) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(picture)
    page.locator("#result").wait_for()
    page.locator("#busy").wait_for(state="hidden")
    page.locator("#places polygon").first.hover()
    page.get_by_role("button", name="Missing place").click()


def with_a_problem(page: "Page", picture: Path) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(picture.with_suffix(".txt"))
    page.locator("#problem").wait_for()


def with_drift_reports(page: "Page", picture: Path) -> None:
    page.goto("/monitoring")
    page.locator("#examples figure").wait_for()


def with_the_api(page: "Page", picture: Path) -> None:
    page.goto("/docs")
    page.get_by_text("/predict/batch").wait_for()


def with_a_survey(page: "Page", picture: Path) -> None:
    page.goto("/surveys/car-park")
    page.locator("#map[data-ready=yes]").wait_for()
    page.get_by_text("places in view").wait_for()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 20:37] = 255
    pixels[40:73, 100:117] = 150
    (tmp_path / "bays.png").write_bytes(encode_png(pixels))
    (tmp_path / "bays.txt").write_text("no image")
    return tmp_path / "bays.png"


@pytest.mark.parametrize("open_page", [with_an_answer, with_a_problem, with_drift_reports, with_the_api, with_a_survey])
def test_no_barrier_is_found(page: "Page", picture: Path, open_page: Callable[["Page", Path], None]) -> None:
    open_page(page, picture)
    assert barriers(page) == []


def test_no_barrier_is_found_in_the_report_of_a_survey(page: "Page", folder: Path) -> None:
    page.goto((folder / "store" / "surveys" / "car-park" / "report.html").as_uri())
    page.locator("#map[data-ready=yes]").wait_for()
    assert barriers(page) == []


def barriers(page: "Page") -> list[str]:
    """What axe-core finds wrong."""
    page.evaluate(node_tool("axe-core/axe.min.js").read_text())
    found: dict[str, Any] = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
