"""A row for every image, behind the answer's back."""

import datetime as dt
from pathlib import Path

import pytest

from monitoring.schema import LogRow, make_row, read_rows
from parking.errors import StoreError
from parking.storage import Store, open_store
from service.inference_log import InferenceLog
from service.metrics import Metrics
from tests.doubles import bright_probability, golden_pixels
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until


def row(request_id: str = "r", time: dt.datetime | None = None) -> LogRow:
    pixels = golden_pixels()
    return make_row(
        pixels,
        bright_probability(pixels),
        (),
        request_id=request_id,
        model_version="1",
        gsd=0.15,
        gsd_source="assumed",
        latency_ms=1.0,
        time=time,
    )


def ids(store: Store, day: dt.date) -> list[str]:
    return sorted(read_rows(store, day).table["request_id"].to_pylist())


class TornStore:
    """Opens only after some tries."""

    def __init__(self, folder: Path, failures: int) -> None:
        self.folder, self.failures = folder, failures

    def __call__(self) -> Store:
        self.failures -= 1
        if self.failures >= 0:
            raise StoreError("The bucket is away.")
        return open_store(str(self.folder))


def test_every_answer_leaves_a_row_with_its_descriptors(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    client = serve(FlippingRegistry(models, serving=1))
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    client.post("/predict", files={"file": ("a.png", image)}, headers={"X-Request-ID": "seen"})
    store = open_store(str(tmp_path / "state" / "store"))
    today = dt.datetime.now(dt.UTC).date()
    wait_until(lambda: read_rows(store, today).table.num_rows == 1)
    (logged,) = read_rows(store, today).table.to_pylist()
    assert logged["request_id"] == "seen"
    assert logged["model_version"] == "1"
    assert logged["count"] == 1
    assert logged["luminance"] == pytest.approx(0.1, abs=0.1)
    assert logged["latency_ms"] > 0


def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    metrics = Metrics()
    log = InferenceLog(lambda: open_store(str(tmp_path)), metrics, every_seconds=3600)
    log.start()
    made = row("last")
    log.add(made)
    log.close()
    assert ids(open_store(str(tmp_path)), made.time.date()) == ["last"]
    assert "parking_log_rows_written_total 1.0" in metrics.text().decode()


def test_rows_wait_while_the_store_is_away(tmp_path: Path) -> None:
    metrics = Metrics()
    log = InferenceLog(TornStore(tmp_path, failures=2), metrics, every_seconds=3600)
    day = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    for name in ("a", "b"):
        log.add(row(name, day))
        log.flush()
        assert "parking_log_rows_written_total 0.0" in metrics.text().decode()
    log.flush()
    assert ids(open_store(str(tmp_path)), day.date()) == ["a", "b"]


def test_rows_of_two_days_go_to_two_days(tmp_path: Path) -> None:
    log = InferenceLog(lambda: open_store(str(tmp_path)), Metrics(), every_seconds=3600)
    days = [dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC) for day in (2, 1, 2)]
    for number, day in enumerate(days):
        log.add(row(str(number), day))
    log.close()
    store = open_store(str(tmp_path))
    assert ids(store, dt.date(2026, 3, 1)) == ["1"]
    assert ids(store, dt.date(2026, 3, 2)) == ["0", "2"]


def test_a_store_that_never_comes_costs_the_oldest_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inference_log.MOST_PENDING", 2)
    metrics = Metrics()
    log = InferenceLog(TornStore(tmp_path, failures=1), metrics, every_seconds=3600)
    day = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    for name in ("a", "b", "c"):
        log.add(row(name, day))
    log.flush()
    log.close()
    assert ids(open_store(str(tmp_path)), day.date()) == ["b", "c"]
    assert "parking_log_rows_lost_total 1.0" in metrics.text().decode()
