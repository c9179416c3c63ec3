"""Who may ask, from where, and how often."""

from pathlib import Path

import pytest

from service.rate_limit import RateLimit
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.test_predict import assert_problem
from tests.service.waiting import wait_until

ORIGIN = {"Origin": "https://maps.example.org"}


def test_a_caller_beyond_its_pace_is_told_when_to_come_again(
    serve: Serve, models: dict[int, Path], image: bytes
) -> None:
    client = serve(FlippingRegistry(models, serving=1), rate_limit=12)
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    files = {"file": ("a.png", image)}
    assert [client.post("/predict", files=files).status_code for _ in range(2)] == [200, 200]
    refused = client.post("/predict", files=files)
    assert_problem(refused, 429, "too many")
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    batch = client.post("/predict/batch", files=[("file", ("a.png", image))] * 2)
    assert batch.status_code == 429
    assert client.get("/health").status_code == 200


def test_a_pace_is_kept_a_caller_and_paid_back_with_time() -> None:
    now = 0.0
    rate = RateLimit(per_minute=60, clock=lambda: now)
    assert [rate.wait("a") for _ in range(10)] == [0.0] * 10
    assert rate.wait("a") == pytest.approx(1.0)
    assert rate.wait("b") == 0.0
    now = 1.0
    assert rate.wait("a") == 0.0
    assert rate.wait("a") > 0
    now = 100.0
    assert [rate.wait("a") for _ in range(10)] == [0.0] * 10


def test_a_batch_counts_whole_or_not_at_all_and_passes_where_nothing_is_owed() -> None:
    now = 0.0
    rate = RateLimit(per_minute=60, clock=lambda: now)
    assert rate.wait("a", 16) == 0.0
    assert rate.wait("a", 16) == pytest.approx(16.0)
    assert rate.wait("a") == pytest.approx(7.0)
    now = 12.0
    assert rate.wait("a", 6) == 0.0
    assert rate.wait("a", 6) == pytest.approx(6.0)


def test_callers_without_number_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.rate_limit.MOST_CALLERS", 5)
    rate = RateLimit(per_minute=1)
    for number in range(20):
        assert rate.wait(str(number)) == 0.0
    assert len(rate._paid_until) == 5


def test_without_a_limit_nobody_waits() -> None:
    rate = RateLimit(per_minute=0)
    assert all(rate.wait("a") == 0.0 for _ in range(1000))


def test_pages_of_other_hosts_are_refused_unless_named(serve: Serve, models: dict[int, Path]) -> None:
    registry = FlippingRegistry(models, serving=1)
    assert "access-control-allow-origin" not in serve(registry).get("/health", headers=ORIGIN).headers
    client = serve(registry, cors_origins="https://other.example, https://maps.example.org")
    allowed = client.get("/health", headers=ORIGIN)
    assert allowed.headers["access-control-allow-origin"] == "https://maps.example.org"
    preflight = client.options("/predict", headers={**ORIGIN, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 200
    stranger = client.get("/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers
