"""Fixtures that more than one room uses."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import S3Server, weed

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REAL = {"s3_server", "browser", "_prefect"}
"""Fixtures that start a server or a browser."""

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `e2e` what needs a real server, a browser, or the tools of a deployment; see `pyproject.toml`."""
    deployment = Path(__file__).parent / "deploy"
    for item in items:
        if REAL & set(getattr(item, "fixturenames", ())) or item.path.is_relative_to(deployment):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The machine's own Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: install Debian's chromium to test the page")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one for the whole run: give each test a bucket or prefix of its own."""
    with weed(tmp_path_factory.mktemp("weed")) as server:
        yield server
