"""A service on a folder of its own, with models that are known exactly."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from parking.data.imagery import encode_png
from parking.detection.detection import Detection
from parking.detection.detector import Detector
from parking.settings import Settings
from service.app import create_app
from service.model_slot import Versions
from tests.doubles import write_bright_model, write_inverted_model

Serve = Callable[..., TestClient]


@pytest.fixture
def models(tmp_path: Path) -> dict[int, Path]:
    """Version 1 finds bright pixels, version 2 dark ones."""
    return {
        1: write_bright_model(tmp_path / "models" / "1.onnx"),
        2: write_inverted_model(tmp_path / "models" / "2.onnx"),
    }


@pytest.fixture
def image() -> bytes:
    """Dark ground with one bright bay of 17 x 33 pixels: 2.5 x 5 m at 0.15 m a pixel."""
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[40:73, 60:77] = 240
    return encode_png(pixels)


@pytest.fixture
def client_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Makes a service on a registry, settings by name; a `with` starts and stops it."""
    monkeypatch.setattr("service.state.FLUSH_SECONDS", 0.05)

    def make(registry: Versions, **settings: Any) -> TestClient:
        fast = {"state_dir": tmp_path / "state", "reload_seconds": 0.05, "threads": 1}
        return TestClient(
            create_app(Settings(_env_file=None, **{**fast, **settings}), registry), follow_redirects=False
        )

    return make


@pytest.fixture
def serve(client_of: Serve) -> Iterator[Serve]:
    """Starts a service on a registry; settings by name; stopped when the test ends."""
    with ExitStack() as stack:

        def start(registry: Versions, **settings: Any) -> TestClient:
            return stack.enter_context(client_of(registry, **settings))

        yield start


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Inference stands still until it is set."""
    gate = threading.Event()
    detect = Detector.detect

    def slow(self: Detector, *args: object, **options: object) -> Detection:
        assert gate.wait(20)
        return detect(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "detect", slow)
    return gate
