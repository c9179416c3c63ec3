"""A row for every image, behind the answer's back."""

import datetime as dt
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from loguru import logger

from monitoring.schema import LOG_PREFIX, LogRow, make_row, read_rows
from parking.errors import StoreError
from parking.storage import Store, open_store
from service.inference_log import InferenceLog
from service.metrics import Metrics
from service.spool import Spool
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


def log_in(tmp_path: Path, open_store: Callable[[], Store] | None = None, *, most_bytes: int = 2**20) -> InferenceLog:
    """A log that writes when told to, with its spool beside its store."""
    spool = Spool(tmp_path / "spool", most_bytes=most_bytes)
    return InferenceLog(open_store or (lambda: folder_store(tmp_path)), spool, Metrics(), every_seconds=3600)


def folder_store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def metric(log: InferenceLog, name: str) -> float:
    value = log._metrics.registry.get_sample_value(f"parking_log_{name}")
    assert value is not None
    return value


def spooled(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "spool").glob("*"))


DAY = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


def test_closing_writes_what_is_left_and_leaves_no_file(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.start()
    made = row("last")
    log.add(made)
    log.close()
    assert ids(folder_store(tmp_path), made.time.date()) == ["last"]
    assert metric(log, "rows_written_total") == 1
    assert metric(log, "rows_pending") == 0
    assert spooled(tmp_path) == []


def test_a_store_that_is_away_is_told_of_before_there_is_a_row(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING", format="{message}")
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=1))
    log.start()
    wait_until(lambda: any("The bucket is away." in line for line in told))
    logger.remove(sink)
    log.close()


def test_rows_wait_while_the_store_is_away(tmp_path: Path) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=2))
    for name in ("a", "b"):
        log.add(row(name, DAY))
        log.flush()
        assert metric(log, "rows_written_total") == 0
    assert metric(log, "rows_pending") == 2
    assert metric(log, "spool_bytes") > 500
    log.flush()
    assert ids(folder_store(tmp_path), DAY.date()) == ["a", "b"]
    assert metric(log, "rows_pending") == 0


def test_rows_survive_kill(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.service.test_inference_log import *\n"
        "log = log_in(Path(sys.argv[1])); log.add(row('a', DAY)); log.add(row('b', DAY))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = spooled(tmp_path)
    with left.open("ab") as file:
        file.write(b'{"time": "2026-03-0')  # the line that it died on
    log = log_in(tmp_path)
    log.flush()
    assert ids(folder_store(tmp_path), DAY.date()) == ["a", "b"]
    assert metric(log, "rows_written_total") == 2
    assert spooled(tmp_path) == []


def test_rows_written_twice_are_there_once(tmp_path: Path) -> None:
    """As after a death between the write to the store and the end of the file."""
    log = log_in(tmp_path)
    log.add(row("a", DAY))
    (left,) = spooled(tmp_path)
    copy = tmp_path / left.name
    shutil.copy(left, copy)
    log.close()
    copy.rename(left)
    log = log_in(tmp_path)
    log.close()
    assert metric(log, "rows_written_total") == 1
    assert ids(folder_store(tmp_path), DAY.date()) == ["a"]


def test_a_process_that_runs_keeps_its_rows(tmp_path: Path) -> None:
    busy, other = log_in(tmp_path), log_in(tmp_path)
    busy.add(row("mine", DAY))
    other.flush()
    assert metric(other, "rows_written_total") == 0
    busy.close()
    other.close()
    assert metric(busy, "rows_written_total") == 1
    assert ids(folder_store(tmp_path), DAY.date()) == ["mine"]


def test_rows_that_the_store_never_took_wait_for_the_next_start(tmp_path: Path) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=9))
    log.add(row("a", DAY))
    log.close()
    assert metric(log, "rows_lost_total") == 0
    assert len(spooled(tmp_path)) == 1
    log_in(tmp_path).close()
    assert ids(folder_store(tmp_path), DAY.date()) == ["a"]


def test_an_hour_is_one_file_however_often_it_is_written(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for minute in range(3):
        log.add(row(str(minute), DAY + dt.timedelta(minutes=minute)))
        log.flush()
    log.add(row("next hour", DAY + dt.timedelta(hours=1)))
    log.close()
    store = folder_store(tmp_path)
    assert len(list(store.keys(LOG_PREFIX))) == 2
    assert ids(store, DAY.date()) == ["0", "1", "2", "next hour"]
    assert metric(log, "rows_written_total") == 4


def test_rows_of_two_days_go_to_two_days(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    days = [dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC) for day in (2, 1, 2)]
    for number, day in enumerate(days):
        log.add(row(str(number), day))
    log.close()
    store = folder_store(tmp_path)
    assert ids(store, dt.date(2026, 3, 1)) == ["1"]
    assert ids(store, dt.date(2026, 3, 2)) == ["0", "2"]


def test_a_store_that_never_comes_costs_the_oldest_rows_and_says_so(tmp_path: Path) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=1), most_bytes=8 * 1024)
    for number in range(40):
        log.add(row(f"{number:02}", DAY))
    assert metric(log, "spool_bytes") <= 8 * 1024
    assert sum(path.stat().st_size for path in spooled(tmp_path)) <= 8 * 1024
    log.flush()
    log.close()
    kept = ids(folder_store(tmp_path), DAY.date())
    assert kept == [f"{number:02}" for number in range(40 - len(kept), 40)]
    assert 5 < len(kept) < 40
    assert metric(log, "rows_lost_total") == 40 - len(kept)


def test_a_folder_that_takes_no_file_costs_nothing_while_the_process_lives(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    log = log_in(tmp_path)
    log.add(row("a", DAY))
    log.flush()
    assert ids(folder_store(tmp_path), DAY.date()) == ["a"]
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=9))
    log.add(row("b", DAY))
    log.close()
    assert metric(log, "rows_lost_total") == 1
