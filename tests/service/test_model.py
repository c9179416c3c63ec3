"""What operators see of the model, and what they may do."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from parking.errors import SettingsError
from tests.doubles import write_nan_model
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.test_predict import assert_problem
from tests.service.waiting import wait_until

TOKEN = {"Authorization": "Bearer open-sesame"}


def ready(client: TestClient) -> None:
    wait_until(lambda: client.get("/health/ready").status_code == 200)


def test_the_model_says_what_it_is_and_how_it_came(serve: Serve, models: dict[int, Path], tmp_path: Path) -> None:
    registry = FlippingRegistry({**models, 3: write_nan_model(tmp_path / "bad.onnx")}, serving=1)
    client = serve(registry)
    ready(client)
    registry.serving = 3
    wait_until(lambda: "3" in client.get("/model").json()["rejected"])
    model = client.get("/model").json()
    assert (model["name"], model["version"]) == ("free-parking", "1")
    assert model["contract"]["gsd"] == 0.15
    assert "golden_tile" not in model["contract"]
    assert len(model["sha256"]) == 64
    assert [(change["version"], change["result"]) for change in model["history"]] == [(3, "rejected"), (1, "loaded")]
    assert "NaN" in model["history"][0]["detail"]
    assert model["limits"]["upload_mb"] == 32


def test_before_there_is_a_model_it_says_why(serve: Serve, models: dict[int, Path]) -> None:
    client = serve(FlippingRegistry(models))
    wait_until(lambda: client.get("/model").json()["last_error"] is not None)
    model = client.get("/model").json()
    assert (model["version"], model["contract"], model["history"]) == (None, None, [])


def test_a_reload_by_hand_is_done_when_it_answers(serve: Serve, models: dict[int, Path]) -> None:
    registry = FlippingRegistry(models, serving=1)
    client = serve(registry, token="open-sesame", reload_seconds=3600)
    ready(client)
    registry.serving = 2
    assert client.post("/model/reload", headers=TOKEN).json()["version"] == "2"


def test_the_version_before_comes_back_without_a_load(serve: Serve, models: dict[int, Path]) -> None:
    registry = FlippingRegistry(models, serving=1)
    client = serve(registry, token="open-sesame", reload_seconds=3600)
    ready(client)
    for number in (2, 1, 2):
        registry.serving = number
        assert client.post("/model/reload", headers=TOKEN).json()["version"] == str(number)
    assert registry.fetched == [1, 2]


def test_a_reload_needs_the_token(serve: Serve, models: dict[int, Path]) -> None:
    client = serve(FlippingRegistry(models, serving=1), token="open-sesame")
    refused = client.post("/model/reload")
    assert_problem(refused, 401, "Bearer")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    for wrong in ("Bearer open-sesam", "Bearer ", "Basic open-sesame", "Bearer \xf6ffne"):
        assert client.post("/model/reload", headers=[(b"Authorization", wrong.encode("latin-1"))]).status_code == 401


def test_without_a_token_nobody_reloads(serve: Serve, models: dict[int, Path]) -> None:
    client = serve(FlippingRegistry(models, serving=1))
    assert_problem(client.post("/model/reload", headers={"Authorization": "Bearer "}), 403, "PARKING_TOKEN")


def test_with_auth_on_every_image_needs_the_token(serve: Serve, models: dict[int, Path], image: bytes) -> None:
    client = serve(FlippingRegistry(models, serving=1), auth=True, token="open-sesame")
    ready(client)
    files = {"file": ("a.png", image)}
    for path in ("/predict", "/preview"):
        assert_problem(client.post(path, files=files), 401, "token")
        assert client.post(path, files=files, headers=TOKEN).status_code == 200
    assert client.get("/model").status_code == 401
    for path in ("/", "/health/live", "/metrics"):
        assert client.get(path).status_code == 200


def test_auth_without_a_token_refuses_to_start(serve: Serve, models: dict[int, Path]) -> None:
    with pytest.raises(SettingsError, match="PARKING_TOKEN is empty"):
        serve(FlippingRegistry(models, serving=1), auth=True)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_service_answers_with_the_runtime_that_is_asked_for(
    serve: Serve, models: dict[int, Path], image: bytes, runtime: str
) -> None:
    registry = FlippingRegistry(models, serving=1)
    client = serve(registry, runtime=runtime, token="open-sesame", reload_seconds=3600)
    ready(client)
    found = [client.post("/predict", files={"file": ("scene.png", image)}).json()["count"]]
    registry.serving = 2
    client.post("/model/reload", headers=TOKEN)
    found.append(client.post("/predict?threshold=0.99", files={"file": ("scene.png", image)}).json()["model_version"])
    assert found == [1, "2"]
    assert client.get("/model").json()["runtime"] == runtime
