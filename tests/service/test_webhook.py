"""MLflow says that an alias moved, and the service looks at once; nobody else can make it."""

import time
from pathlib import Path

import pytest
from mlflow.entities.webhook import Webhook, WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.webhooks.delivery import test_webhook as deliver
from starlette.testclient import TestClient

from parking.settings import Settings
from service.app import create_app
from service.webhook import OLDEST_SECONDS, signature
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.test_predict import assert_problem
from tests.service.test_reload import serves
from tests.service.waiting import wait_until

SECRET = "open-sesame"
MOVED = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)


@pytest.fixture
def registry(models: dict[int, Path]) -> FlippingRegistry:
    return FlippingRegistry(models, serving=1)


@pytest.fixture
def client(serve: Serve, registry: FlippingRegistry) -> TestClient:
    """It would ask again in an hour."""
    client = serve(registry, webhook_secret=SECRET, reload_seconds=3600)
    serves(client, 1)
    return client


def headers(body: bytes, *, secret: str = SECRET, age: float = 0.0) -> dict[str, str]:
    now = str(int(time.time() - age))
    return {
        "X-MLflow-Delivery-Id": "d",
        "X-MLflow-Timestamp": now,
        "X-MLflow-Signature": signature(secret, "d", now, body),
    }


def test_mlflows_own_message_makes_a_promotion_felt_at_once(
    tmp_path: Path, registry: FlippingRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    settings = Settings(
        _env_file=None, state_dir=tmp_path / "state", threads=1, webhook_secret=SECRET, reload_seconds=3600
    )
    app = create_app(settings, registry)
    with running(app) as address:
        slot = app.state.service.slot
        wait_until(lambda: slot.current is not None)
        registry.serving = 2
        for secret, status in (("wrong", 401), (SECRET, 202)):
            result = deliver(webhook_to(f"{address}/model/webhook", secret), MOVED)
            assert result.response_status == status, result
        wait_until(lambda: slot.current.version.number == 2)


def webhook_to(url: str, secret: str) -> Webhook:
    return Webhook("w", "to the service", url, [MOVED], 0, 0, status=WebhookStatus.ACTIVE, secret=secret)


@pytest.mark.parametrize("wrong", [{"secret": "guessed"}, {"age": OLDEST_SECONDS + 5}, {"age": -OLDEST_SECONDS - 5}])
def test_a_message_of_somebody_else_or_of_yesterday_is_refused(
    client: TestClient, registry: FlippingRegistry, wrong: dict[str, object]
) -> None:
    registry.serving = 2
    answer = client.post("/model/webhook", content=b"{}", headers=headers(b"{}", **wrong))  # type: ignore[arg-type]
    assert_problem(answer, 401, "signature")
    assert_problem(client.post("/model/webhook", content=b"{ }", headers=headers(b"{}")), 401, "signature")
    assert_problem(client.post("/model/webhook", content=b"{}"), 401, "signature")
    assert not client.app.state.service.slot._woken.is_set()  # type: ignore[attr-defined]
    assert client.post("/model/webhook", content=b"{}", headers=headers(b"{}")).status_code == 202
    serves(client, 2)


def test_without_a_secret_it_is_off(serve: Serve, registry: FlippingRegistry) -> None:
    client = serve(registry)
    refused = client.post("/model/webhook", content=b"{}", headers=headers(b"{}", secret=""))
    assert_problem(refused, 403, "PARKING_WEBHOOK_SECRET")
