"""A new process answers with the version that served last, whatever the registry does meanwhile."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from parking.detection.detector import Detector
from tests.doubles import write_nan_model
from tests.service.conftest import Serve
from tests.service.doubles import DownRegistry, FlippingRegistry, HangingRegistry
from tests.service.test_reload import answered_by, serves
from tests.service.waiting import wait_until


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def served(client_of: Serve, models: dict[int, Path]) -> None:
    """An earlier process served version 1."""
    with client_of(FlippingRegistry(models, serving=1)) as client:
        serves(client, 1)
        wait_until(lambda: client.get("/model").json()["confirmed"])


@pytest.fixture
def hanging(models: dict[int, Path]) -> Iterator[HangingRegistry]:
    registry = HangingRegistry(models, serving=1)
    yield registry
    registry.release.set()


def model_of(client: TestClient) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/model").json()
    return body


def test_it_answers_while_the_registry_hangs_and_says_so_until_it_is_confirmed(
    serve: Serve, hanging: HangingRegistry, image: bytes
) -> None:
    client = serve(hanging)
    serves(client, 1)
    assert client.get("/health/ready").status_code == 200
    assert answered_by(client, image) == "1"
    assert model_of(client)["confirmed"] is client.get("/health").json()["confirmed"] is False
    assert [change["result"] for change in model_of(client)["history"]] == ["remembered"]
    assert "parking_model_confirmed 0.0" in client.get("/metrics").text
    hanging.release.set()
    wait_until(lambda: model_of(client)["confirmed"])
    assert [change["result"] for change in model_of(client)["history"]] == ["confirmed", "remembered"]
    assert "parking_model_confirmed 1.0" in client.get("/metrics").text
    assert hanging.fetched == []


def test_it_answers_while_the_registry_is_down(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    registry = DownRegistry(models, serving=1)
    registry.down = True
    client = serve(registry)
    serves(client, 1)
    wait_until(lambda: model_of(client)["last_error"] is not None)
    assert answered_by(client, image) == "1"
    assert model_of(client)["confirmed"] is False


def test_another_version_takes_over_when_the_registry_names_it(
    serve: Serve, hanging: HangingRegistry, image: bytes
) -> None:
    client = serve(hanging)
    serves(client, 1)
    hanging.serving = 2
    hanging.release.set()
    serves(client, 2)
    assert answered_by(client, image) == "2"
    assert model_of(client)["confirmed"] is True
    hanging.serving = 1
    serves(client, 1)
    assert hanging.fetched == [2]


def test_a_file_that_was_damaged_meanwhile_is_not_served(serve: Serve, hanging: HangingRegistry, state: Path) -> None:
    (file,) = (state / "models").rglob("*.onnx")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    client = serve(hanging)
    wait_until(lambda: model_of(client)["last_error"] is not None)
    assert "checksum" in model_of(client)["last_error"]
    assert client.get("/health/ready").status_code == 503
    hanging.release.set()
    serves(client, 1)
    assert model_of(client)["confirmed"] is True


def test_a_file_that_fails_its_checks_is_not_served(serve: Serve, hanging: HangingRegistry, state: Path) -> None:
    """As where a newer program asks more of a model than the one that served it."""
    bad = write_nan_model(state / "bad.onnx")
    memory = state / "remembered.json"
    remembered = json.loads(memory.read_text())
    memory.write_text(
        json.dumps({**remembered, "file": str(bad), "sha256": hashlib.sha256(bad.read_bytes()).hexdigest()})
    )
    client = serve(hanging)
    wait_until(lambda: model_of(client)["last_error"] is not None)
    assert "NaN" in model_of(client)["last_error"]
    assert client.get("/health/ready").status_code == 503


def test_a_model_that_fails_as_nobody_expected_leaves_the_registry_to_be_asked(
    serve: Serve, hanging: HangingRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm, fails = Detector.warm, [True]

    def fail_once(self: Detector) -> None:
        if fails and fails.pop():
            raise RuntimeError("no memory")
        warm(self)

    monkeypatch.setattr(Detector, "warm", fail_once)
    client = serve(hanging)
    wait_until(lambda: model_of(client)["last_error"] is not None)
    assert "no memory" in client.get("/health/ready").json()["detail"]
    hanging.release.set()
    serves(client, 1)


@pytest.mark.parametrize("setting", ["model_name", "mlflow_tracking_uri"])
def test_what_another_registry_named_is_not_served(serve: Serve, hanging: HangingRegistry, setting: str) -> None:
    client = serve(hanging, **{setting: "http://elsewhere"})
    wait_until(lambda: client.app.state.service.slot._polling.locked())  # type: ignore[attr-defined]
    assert client.get("/health/ready").status_code == 503


@pytest.mark.parametrize("text", ["", "{", '{"source": "x"}'])
def test_a_torn_memory_is_no_memory(serve: Serve, hanging: HangingRegistry, state: Path, text: str) -> None:
    (state / "remembered.json").write_text(text)
    client = serve(hanging)
    wait_until(lambda: client.app.state.service.slot._polling.locked())  # type: ignore[attr-defined]
    assert client.get("/health/ready").status_code == 503
    hanging.release.set()
    serves(client, 1)


def test_no_password_is_remembered(serve: Serve, models: dict[int, Path], state: Path) -> None:
    client = serve(FlippingRegistry(models, serving=2), mlflow_tracking_uri="https://me:hush@mlflow.example.org")
    serves(client, 2)
    wait_until(lambda: "mlflow.example.org" in (state / "remembered.json").read_text())
    assert "hush" not in (state / "remembered.json").read_text()
