"""A row for every image, whatever becomes of the disk, the store and the process."""

import datetime as dt
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest
from loguru import logger

from monitoring.schema import LOG_PREFIX, LogRow, make_row, read_rows, rows_to_table, write_table
from parking.errors import StoreError
from parking.storage import FolderStore, Store, open_store
from service.inference_log import InferenceLog
from service.log_buffer import LogBuffer
from service.metrics import Metrics
from tests.doubles import bright_probability, golden_pixels
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.waiting import wait_until

DAY = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


@cache
def described() -> LogRow:
    pixels = golden_pixels()
    return make_row(
        pixels,
        bright_probability(pixels),
        (),
        request_id="",
        model_version="1",
        gsd=0.15,
        gsd_source="assumed",
        latency_ms=1.0,
    )


def row(request_id: str = "r", time: dt.datetime | None = None, answer_id: str = "") -> LogRow:
    time = time or dt.datetime.now(dt.UTC)
    return replace(described(), request_id=request_id, time=time, answer_id=answer_id)


def ids(store: Store, day: dt.date = DAY.date()) -> list[str]:
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


class LateStore(FolderStore):
    """Writes, and says that it did not: as where the answer to a write is lost."""

    lost_answers = 1

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreError("No answer came.")


class HangingStore(FolderStore):
    """Takes a write, and never answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.release = threading.Event()

    def write(self, key: str, data: bytes) -> None:
        self.release.wait(20)


def log_in(tmp_path: Path, open_store: Callable[[], Store] | None = None, *, most_rows: int = 1000) -> InferenceLog:
    """A log that writes when told to, with its buffer beside its store."""
    buffer = LogBuffer(tmp_path / "buffer", most_rows=most_rows)
    return InferenceLog(open_store or (lambda: folder_store(tmp_path)), buffer, Metrics(), every_seconds=3600)


def folder_store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def metric(log: InferenceLog, name: str) -> float:
    value = log._metrics.registry.get_sample_value(f"parking_log_{name}")
    assert value is not None
    return value


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Lets SQLite say that the disk is full, as long as it is told so."""
    connect = sqlite3.connect

    class Full(sqlite3.Connection):
        full = False

        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            if Full.full and sql.lstrip().upper().startswith("INSERT"):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *more)  # type: ignore[arg-type]

    def opened(path: object, **options: object) -> sqlite3.Connection:
        factory = sqlite3.Connection if path == ":memory:" else Full
        return connect(path, factory=factory, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("service.buffer_file.sqlite3.connect", opened)

    def tell(full: bool) -> None:
        Full.full = full

    return tell


def test_every_answer_leaves_a_row_with_its_descriptors(
    serve: Serve, models: dict[int, Path], image: bytes, tmp_path: Path
) -> None:
    client = serve(FlippingRegistry(models, serving=1))
    wait_until(lambda: client.get("/health/ready").status_code == 200)
    answer = client.post("/predict", files={"file": ("a.png", image)}, headers={"X-Request-ID": "seen"}).json()
    store = open_store(str(tmp_path / "state" / "store"))
    today = dt.datetime.now(dt.UTC).date()
    wait_until(lambda: read_rows(store, today).table.num_rows == 1)
    (logged,) = read_rows(store, today).table.to_pylist()
    assert logged["request_id"] == "seen"
    assert logged["answer_id"] == answer["answer_id"]
    assert logged["model_version"] == "1"
    assert logged["count"] == 1
    assert logged["luminance"] == pytest.approx(0.1, abs=0.1)
    assert logged["latency_ms"] > 0


def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.start()
    made = row("last")
    log.add(made)
    log.close()
    assert ids(folder_store(tmp_path), made.time.date()) == ["last"]
    assert metric(log, "rows_written_total") == 1
    assert metric(log, "rows_pending") == 0


def test_a_store_that_hangs_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    store = HangingStore(tmp_path / "store")
    log = log_in(tmp_path, lambda: store)
    log.start()
    log.add(row("a", DAY))
    log.close(0.2)
    assert metric(log, "rows_lost_total") == 0
    store.release.set()


def test_a_store_that_is_away_is_told_of_before_there_is_a_row(tmp_path: Path) -> None:
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
    assert ids(folder_store(tmp_path)) == ["a", "b"]
    assert metric(log, "rows_pending") == 0


def test_rows_survive_kill_even_the_first_of_a_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.service.test_inference_log import *\n"
        "log = log_in(Path(sys.argv[1]), TornStore(Path(sys.argv[1]), 99))\n"
        "log.start(); log.add(row('a', DAY)); log.add(row('b', DAY)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    log = log_in(tmp_path)
    log.flush()
    assert ids(folder_store(tmp_path)) == ["a", "b"]
    assert metric(log, "rows_written_total") == 2


def test_rows_whose_write_was_not_confirmed_are_there_once(tmp_path: Path) -> None:
    store = LateStore(tmp_path / "store")
    log = log_in(tmp_path, lambda: store)
    log.add(row("a", DAY))
    log.flush()
    log.add(row("b", DAY))
    log.close()
    assert ids(store) == ["a", "b"]
    assert metric(log, "rows_written_total") == 2


def test_one_row_given_twice_is_there_once(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for _ in range(2):
        log.add(row("a", DAY, answer_id="20260301-00000000-0000000000000000"))
    log.close()
    assert ids(folder_store(tmp_path)) == ["a"]


def test_two_processes_on_one_folder_write_each_row_once(tmp_path: Path) -> None:
    one, other = log_in(tmp_path), log_in(tmp_path)
    one.add(row("mine", DAY))
    other.add(row("theirs", DAY))
    other.flush()
    one.add(row("mine, later", DAY))
    one.close()
    other.close()
    assert ids(folder_store(tmp_path)) == ["mine", "mine, later", "theirs"]
    assert metric(one, "rows_written_total") + metric(other, "rows_written_total") == 3


def test_rows_that_the_store_never_took_wait_for_the_next_start(tmp_path: Path) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=9))
    log.add(row("a", DAY))
    log.close()
    assert metric(log, "rows_lost_total") == 0
    log_in(tmp_path).close()
    assert ids(folder_store(tmp_path)) == ["a"]


def test_an_hour_is_one_file_however_often_it_is_written(tmp_path: Path) -> None:
    hour = dt.datetime.now(dt.UTC).replace(minute=30)
    log = log_in(tmp_path)
    for second in range(3):
        log.add(row(str(second), hour + dt.timedelta(seconds=second)))
        log.flush()
    store = folder_store(tmp_path)
    assert len(list(store.keys(LOG_PREFIX))) == 1
    assert ids(store, hour.date()) == ["0", "1", "2"]
    assert metric(log, "rows_written_total") == 3
    log.close()


def test_a_busy_hour_is_several_files_and_no_row_is_missing(tmp_path: Path) -> None:
    log = log_in(tmp_path, most_rows=40)
    for number in range(17):
        log.add(row(f"{number:02}", DAY))
        log.flush()
    store = folder_store(tmp_path)
    assert ids(store) == [f"{number:02}" for number in range(17)]
    assert metric(log, "rows_lost_total") == 0
    log.close()


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
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=1), most_rows=16)
    for number in range(40):
        log.add(row(f"{number:02}", DAY))
    assert metric(log, "rows_pending") <= 16
    log.flush()
    log.close()
    kept = ids(folder_store(tmp_path))
    assert kept == [f"{number:02}" for number in range(40 - len(kept), 40)]
    assert 12 <= len(kept) <= 16
    assert metric(log, "rows_lost_total") == 40 - len(kept)


def test_a_disk_that_is_full_for_a_moment_costs_nothing(tmp_path: Path, full_disk: Callable[[bool], None]) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=1))
    for number in range(6):
        full_disk(number in (2, 3))
        log.add(row(str(number), DAY))
        if number == 4:
            log.flush()
    assert log._buffer.in_memory() == 0, "what waited in memory is on disk again"
    assert log._buffer.waiting() == 6
    log.flush()
    log.add(row("6", DAY))
    log.close()
    assert ids(folder_store(tmp_path)) == list("0123456")
    assert metric(log, "rows_lost_total") == 0


def test_after_a_full_disk_and_a_kill_no_shorter_file_takes_the_place_of_a_longer(
    tmp_path: Path, full_disk: Callable[[bool], None]
) -> None:
    log = log_in(tmp_path)
    for number in range(9):
        full_disk(number > 3)
        log.add(row(str(number), DAY))
    log.flush()
    full_disk(False)
    del log  # killed: what the disk has is all that is left
    log_in(tmp_path).close()
    assert ids(folder_store(tmp_path)) == list("012345678")


def test_a_folder_that_takes_no_file_costs_nothing_while_the_process_lives(tmp_path: Path) -> None:
    (tmp_path / "buffer").write_text("in the way")
    log = log_in(tmp_path)
    log.add(row("a", DAY))
    log._send()
    assert ids(folder_store(tmp_path)) == ["a"]
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=9))
    log.add(row("b", DAY))
    log.close()
    assert metric(log, "rows_lost_total") == 1


@pytest.mark.parametrize("damage", ["no database", "torn"])
def test_a_damaged_file_is_moved_aside_and_rows_go_on(tmp_path: Path, damage: str) -> None:
    log = log_in(tmp_path, TornStore(tmp_path / "store", failures=9))
    for number in range(40):
        log.add(row(str(number), DAY))
    log.close()
    file = tmp_path / "buffer" / "rows.db"
    data = file.read_bytes()
    file.write_bytes(b"no database at all" * 999 if damage == "no database" else data[:4096] + bytes(len(data) - 4096))
    log = log_in(tmp_path)
    log.add(row("after", DAY))
    log.flush()
    log.close()
    assert "after" in ids(folder_store(tmp_path))
    assert len(list((tmp_path / "buffer").glob("rows.db.damaged-*"))) == 1


def old_file(tmp_path: Path, names: str, torn: str = "") -> Path:
    """Rows as the version before this one left them."""
    rows = [asdict(row(name, DAY)) for name in names]
    lines = [
        json.dumps({k: v for k, v in {**one, "time": DAY.isoformat()}.items() if k != "answer_id"}) for one in rows
    ]
    file = tmp_path / "buffer" / "20260301T12-0123456789ab.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n" + torn)
    return file


def test_rows_of_an_older_version_are_taken_over(tmp_path: Path) -> None:
    file = old_file(tmp_path, "ab", torn='{"time": "2026-03-0')
    log = log_in(tmp_path)
    log.flush()
    log.close()
    store = folder_store(tmp_path)
    assert ids(store) == ["a", "b"]
    assert [Path(key).stem for key in store.keys(LOG_PREFIX)] == [file.stem]
    assert not file.exists()


def test_an_older_versions_file_that_is_shorter_than_the_stores_replaces_nothing(tmp_path: Path) -> None:
    file = old_file(tmp_path, "bc")
    store = folder_store(tmp_path)
    write_table(store, rows_to_table([row(name, DAY) for name in "ab"]), date=DAY.date(), name=file.stem)
    log = log_in(tmp_path)
    log.flush()
    log.close()
    assert ids(store) == ["a", "b", "c"]
    assert metric(log, "rows_written_total") == 1


def test_rows_of_an_older_version_that_still_runs_are_left_to_it(tmp_path: Path) -> None:
    import fcntl

    file = old_file(tmp_path, "a")
    with file.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        log_in(tmp_path).close()
        assert file.exists()
    log_in(tmp_path).close()
    assert ids(folder_store(tmp_path)) == ["a"]
