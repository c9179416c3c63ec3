"""The alias is the only switch, and no caller feels it move."""

from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from parking.registry import PRODUCTION, Version
from tests.doubles import write_corrupt_model, write_model_with_bad_contract, write_nan_model
from tests.service.conftest import Serve
from tests.service.doubles import DownRegistry, FlippingRegistry, SlowRegistry
from tests.service.waiting import wait_until


def answered_by(client: TestClient, image: bytes) -> str:
    answer = client.post("/predict", files={"file": ("a.png", image)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model_version"])


def serves(client: TestClient, number: int) -> None:
    wait_until(lambda: client.get("/health").json()["model_version"] == str(number))


def test_a_new_version_answers_without_a_restart(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    registry = FlippingRegistry(models, serving=1)
    client = serve(registry)
    serves(client, 1)
    assert answered_by(client, image) == "1"
    registry.serving = 2
    serves(client, 2)
    assert answered_by(client, image) == "2"


def test_the_old_version_serves_while_the_new_one_loads(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    registry = SlowRegistry(models, serving=1)
    client = serve(registry)
    serves(client, 1)
    registry.serving = 2
    assert registry.asked.wait(20)
    assert answered_by(client, image) == "1"
    assert client.get("/health/ready").status_code == 200
    registry.release.set()
    serves(client, 2)


@pytest.mark.parametrize("write_bad", [write_corrupt_model, write_nan_model, write_model_with_bad_contract])
def test_bad_version_stays_out(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path, write_bad: type
) -> None:
    registry = FlippingRegistry({**models, 3: write_bad(tmp_path / "bad.onnx")}, serving=1)
    client = serve(registry)
    serves(client, 1)
    registry.serving = 3
    wait_until(lambda: "3" in client.get("/health").json()["rejected"])
    health = client.get("/health").json()
    assert health["model_version"] == "1"
    assert "Version 3 was refused" in health["last_error"]
    assert answered_by(client, image) == "1"
    wait_until(lambda: registry_looked_again(client))
    assert registry.fetched.count(3) == 1
    registry.serving = 2
    serves(client, 2)
    assert client.get("/health").json()["last_error"] is None
    assert "3" in client.get("/health").json()["rejected"]


def test_a_number_that_comes_again_with_another_file_is_tried(
    serve: Serve, models: dict[int, Path], tmp_path: Path
) -> None:
    class Remade(FlippingRegistry):
        """Says checksums; made anew by a test."""

        sha256 = "a"

        def resolve(self, which: str = PRODUCTION) -> Version:
            return replace(super().resolve(which), tags={"sha256": self.sha256 if self.serving == 2 else "other"})

    registry = Remade({1: models[1], 2: write_nan_model(tmp_path / "bad.onnx")}, serving=1)
    client = serve(registry)
    serves(client, 1)
    registry.serving = 2
    wait_until(lambda: "2" in client.get("/health").json()["rejected"])
    registry.files[2] = models[2]
    assert registry_looked_again(client)
    assert registry.fetched.count(2) == 1
    registry.sha256 = "b"
    serves(client, 2)
    assert client.get("/health").json()["rejected"] == {}


def registry_looked_again(client: TestClient) -> bool:
    """True after some more polls have had time to pass."""
    slot = client.app.state.service.slot  # type: ignore[attr-defined]
    for _ in range(3):
        slot.poll()
    return True


def test_files_of_versions_that_may_be_needed_stay(serve: Serve, models: dict[int, Path], tmp_path: Path) -> None:
    registry = FlippingRegistry({**models, 3: models[1], 4: write_nan_model(tmp_path / "bad.onnx")}, serving=1)
    client = serve(registry)
    for number in (1, 2, 3):
        registry.serving = number
        serves(client, number)
    wait_until(lambda: len(registry.kept) == 3)
    assert registry.kept == [{1}, {1, 2}, {2, 3}]
    registry.serving = 4
    wait_until(lambda: "4" in client.get("/health").json()["rejected"])
    assert len(registry.kept) == 3, "after a refusal nothing goes"


def test_a_version_that_could_not_be_remembered_leaves_the_one_that_is(
    serve: Serve, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = FlippingRegistry({**models, 3: models[1]}, serving=1)
    client = serve(registry)
    serves(client, 1)
    wait_until((tmp_path / "state" / "remembered.json").exists)
    monkeypatch.setattr("service.last_served.write_whole", refuse_to_write)
    for number in (2, 3):
        registry.serving = number
        serves(client, number)
    wait_until(lambda: len(registry.kept) == 3)
    assert registry.kept[-1] == {1, 2, 3}


def refuse_to_write(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_without_an_alias_it_is_not_ready_says_why_and_comes_up_by_itself(
    serve: Serve, models: dict[int, Path], image: bytes
) -> None:
    registry = FlippingRegistry(models)
    client = serve(registry)
    wait_until(lambda: client.get("/health").json()["last_error"] is not None)
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert "production" in ready.json()["detail"]
    assert client.get("/health/live").status_code == 200
    refused = client.post("/predict", files={"file": ("a.png", image)})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    registry.serving = 1
    serves(client, 1)
    assert client.get("/health/ready").status_code == 200


def test_registry_down_changes_nothing(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    registry = DownRegistry(models, serving=1)
    client = serve(registry)
    serves(client, 1)
    registry.down = True
    wait_until(lambda: client.get("/health").json()["registry_ok"] is False)
    assert answered_by(client, image) == "1"
    assert client.get("/health/ready").status_code == 200
    assert "parking_registry_up 0.0" in client.get("/metrics").text
    registry.serving = 2
    registry.down = False
    serves(client, 2)
    assert client.get("/health").json()["registry_ok"] is True


def test_a_registry_that_stays_down_is_asked_less_and_less(models: dict[int, Path], serve: Serve) -> None:
    registry = DownRegistry(models, serving=1)
    registry.down = True
    slot = serve(registry, reload_seconds=2).app.state.service.slot  # type: ignore[attr-defined]
    wait_until(lambda: slot.status.last_error is not None)
    first = slot._pause()
    for _ in range(8):
        slot.poll()
    assert slot._pause() > 3 * first
    assert slot._pause() <= 36
