"""One Dask cluster in this process for all tests, and a model of known answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles import write_bright_model, write_colour_model
from tests.parking.survey.surveying import threads_cluster


@pytest.fixture(scope="session")
def dask() -> Iterator[str]:
    """The address of a scheduler with two threads."""
    with threads_cluster() as address:
        yield address


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finds bright bays."""
    return write_bright_model(tmp_path_factory.mktemp("model") / "bright.onnx")


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finds red bays and green vehicles by their cores."""
    return write_colour_model(tmp_path_factory.mktemp("model") / "colour.onnx", gsd=0.15)
