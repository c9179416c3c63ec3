"""Each drill is one try: something is broken, and what was promised is counted afterwards. Those of the service."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitoring.schema import read_rows
from parking.storage import open_store
from service.log_buffer import LogBuffer
from tests.drills import loop
from tests.drills.outcome import NotHereError, Outcome
from tests.drills.service import Answers, Service, callers, picture, wait_for
from tests.drills.slow import slowed
from tests.servers import weed


def killed_under_load(folder: Path) -> Outcome:
    """kill -9 at a random moment: each answer that a caller holds has its row, once, and can be corrected."""
    service = _service(folder)
    with callers(service, 4) as answers:
        wait_for(answers, 1)
        time.sleep(random.uniform(0, 2))
        service.kill()
    unheld = service.unheld_rows(answers)
    service.start()
    lost = service.missing_rows(answers)
    refused = service.correct(answers.ids[0]) != 200
    note = f"{unheld} rows not on disk at the kill; all in the store {service.waited:.0f} s after the start"
    service.stop()
    return Outcome(len(answers.ids), max(lost, unheld) + refused, note)


def killed_at_the_first_answer(folder: Path) -> Outcome:
    """kill -9 with the first answer: nothing that is imported or opened late stands between it and its row."""
    service = _service(folder)
    answers = Answers()
    service.ask(answers, picture())
    service.kill()
    service.start()
    lost = service.missing_rows(answers)
    service.stop()
    return Outcome(len(answers.ids), lost)


def full_disk(folder: Path) -> Outcome:
    """The disk of the service is full for a while; then it is killed."""
    with _small_disk(folder / "disk", megabytes=4) as disk:
        service = _service(folder, state=disk / "state")
        answers, ballast = Answers(), disk / "ballast"
        for moment in ("before", "full", "after"):
            if moment == "full":
                _fill(ballast)
            for _ in range(5):
                service.ask(answers, picture())
            if moment == "full":
                service.missing_rows(answers)
                ballast.unlink()
        service.kill()
        service.start()
        lost = service.missing_rows(answers)
        service.stop()
    return Outcome(15, lost + 15 - len(answers.ids))


def store_down(folder: Path) -> Outcome:
    """The bucket's server is killed, and comes back: all are answered, all have rows, all can be corrected."""
    with _bucket(folder) as bucket:
        service = _service(folder, store=bucket.url, variables=bucket.variables)
        answers = Answers()
        bucket.signal(signal.SIGSTOP)
        for _ in range(10):
            service.ask(answers, picture())
        bucket.signal(signal.SIGCONT)
        lost = service.missing_rows(answers)
        refused = sum(service.correct(one) != 200 for one in answers.ids)
        service.stop()
    return Outcome(20, lost + refused + 2 * (10 - len(answers.ids)))


def store_slow(folder: Path) -> Outcome:
    """Every request to the bucket takes two seconds longer: no answer waits for it, and all have rows afterwards."""
    with _bucket(folder) as bucket, slowed(bucket.variables["AWS_ENDPOINT_URL"], 2.0) as address:
        service = _service(folder, store=bucket.url, variables={**bucket.variables, "AWS_ENDPOINT_URL": address})
        answers, longest = Answers(), 0.0
        service.ask(answers, picture())
        for _ in range(9):
            started = time.monotonic()
            service.ask(answers, picture())
            longest = max(longest, time.monotonic() - started)
        lost = service.missing_rows(answers)
        service.stop()
    return Outcome(10, lost + 10 - len(answers.ids) + (longest > 2), f"slowest answer after the first: {longest:.1f} s")


def store_hangs_at_the_end(folder: Path) -> Outcome:
    """The bucket's server takes requests and never answers: SIGTERM ends the service all the same, and rows wait."""
    with _bucket(folder) as bucket:
        service = _service(folder, store=bucket.url, variables=bucket.variables)
        answers = Answers()
        service.ask(answers, picture())
        bucket.signal(signal.SIGSTOP)
        for _ in range(5):
            service.ask(answers, picture())
        started = time.monotonic()
        told = service.correct(answers.ids[-1])
        waited = time.monotonic() - started
        status, seconds = service.stop()
        bucket.signal(signal.SIGCONT)
        service.start()
        lost = service.missing_rows(answers)
        service.stop()
    late = (status != 0 or seconds > 30) + (told not in (503, 504) or waited > 20)
    return Outcome(
        8, lost + late + 6 - len(answers.ids), f"SIGTERM {seconds:.0f} s, /feedback {told} after {waited:.0f} s"
    )


def stopped_under_load(folder: Path) -> Outcome:
    """SIGTERM while callers ask: whoever was let in gets 200, or a problem that says when to come again."""
    service = _service(folder)
    with callers(service, 4) as answers:
        wait_for(answers, 4)
        status, seconds = service.stop()
    service.start()
    lost = service.missing_rows(answers)
    service.stop()
    bad = answers.bare + sum(count for code, count in answers.statuses.items() if code not in (0, 200, 503))
    return Outcome(len(answers.ids), lost + bad + (status != 0), f"ended in {seconds:.0f} s")


def flooded(folder: Path) -> Outcome:
    """64 callers at once: each gets its places, or hears that all is busy; the health page answers."""
    service = _service(folder)
    with callers(service, 64) as answers:
        wait_for(answers, 64)
        slow = not service.is_ready()
    bad = sum(count for code, count in answers.statuses.items() if code not in (200, 503))
    lost = service.missing_rows(answers)
    service.stop()
    return Outcome(sum(answers.statuses.values()), bad + answers.bare + lost + slow)


def registry_hangs(folder: Path) -> Outcome:
    """The registry takes connections and never answers: a new process serves what served last."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        service = _service(folder, variables={"PARKING_MLFLOW_TRACKING_URI": address})
        answers = Answers()
        for _ in range(5):
            service.ask(answers, picture())
        status, seconds = service.stop()
    return Outcome(5, 5 - len(answers.ids) + (status != 0 or seconds > 30), f"ended in {seconds:.0f} s")


def two_on_one_folder(folder: Path) -> Outcome:
    """Two processes on one state folder, as in a rolling restart, one of them killed: each row once."""
    one = _service(folder)
    other = Service(one.state, one.store)
    other.start()
    with callers(one, 2) as first, callers(other, 2) as second:
        wait_for(first, 5)
        wait_for(second, 5)
        one.kill()
        time.sleep(0.5)
    answers = Answers(ids=first.ids + second.ids)
    lost = other.missing_rows(answers)
    other.stop()
    return Outcome(len(answers.ids), lost)


def clock_jumps(folder: Path) -> Outcome:
    """The clock goes back and forth between rows, and the process is killed: each row lies under its own day, once."""
    code = (
        "import os, sys; from pathlib import Path; from tests.drills.drills import write_jumping_rows\n"
        "write_jumping_rows(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=120)
    service = _service(folder)
    store, end = open_store(service.store), time.monotonic() + 120
    while (found := sum(read_rows(store, day.date()).table.num_rows for day in _days())) < 3 and time.monotonic() < end:
        time.sleep(0.2)
    service.stop()
    return Outcome(3, abs(3 - found))


def write_jumping_rows(folder: Path) -> None:
    """Rows of a clock that jumps; for a process that is killed then."""
    from tests.service.test_inference_log import row

    buffer = LogBuffer(folder / "state" / "inference-log", most_rows=1000)
    for number, day in enumerate(_days()):
        buffer.add(row(str(number), day))


DRILLS: dict[str, Callable[[Path], Outcome]] = {
    "service: kill -9 with the first answer": killed_at_the_first_answer,
    "service: kill -9 under load": killed_under_load,
    "service: two on one state folder, one killed": two_on_one_folder,
    "service: SIGTERM under load": stopped_under_load,
    "service: flood of 64 callers": flooded,
    "service: disk full for a while, then kill -9": full_disk,
    "service: clock jumps, then kill -9": clock_jumps,
    "store: server stops answering, comes back": store_down,
    "store: every request two seconds slower": store_slow,
    "store: server hangs while SIGTERM comes": store_hangs_at_the_end,
    "registry: takes connections, never answers": registry_hangs,
    "ingest: kill -9 at any moment, run again": loop.killed_ingest,
    "tune: kill -9 at any moment, run again": loop.killed_search,
    "train: kill -9 at any moment, run again": loop.killed_training,
    "promote: kill -9 between two writes": loop.killed_promotion,
    "monitor: kill -9 at any moment, run again": loop.killed_monitoring,
    "platform: kill -9 of `parking up`, up again": loop.killed_platform,
}
"""By what the table calls them."""


@dataclass(frozen=True)
class _Bucket:
    url: str
    variables: dict[str, str]
    pid: int

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)


@contextmanager
def _bucket(folder: Path) -> Iterator[_Bucket]:
    """A bucket on a server of its own; ours reads what is in it by the same variables."""
    import psutil

    (folder / "weed").mkdir()
    before = {child.pid for child in psutil.Process().children()}
    with weed(folder / "weed") as server:
        (pid,) = {child.pid for child in psutil.Process().children()} - before
        server.create_bucket("drill")
        variables = dict(server.environment)
        kept = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield _Bucket("s3://drill/store", variables, pid)
        finally:
            # A stopped process takes no SIGTERM.
            os.kill(pid, signal.SIGCONT)
            for name, value in kept.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own; needs to be root."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    made = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if made.returncode:
        raise NotHereError(f"no file system can be made here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return


def _service(
    folder: Path, *, state: Path | None = None, store: str = "", variables: dict[str, str] | None = None
) -> Service:
    """A service that is ready; what a try leaves running of it ends with `stop_all`."""
    made = Service(state or folder / "state", store or str(folder / "store"), variables or {})
    made.prepare()
    _started.append(made)
    made.start()
    return made


_started: list[Service] = []


def stop_all() -> None:
    """End what a try that failed left running."""
    for service in _started:
        if service.process is not None and service.process.poll() is None:
            service.kill()
    _started.clear()


def _days() -> list[datetime]:
    now = datetime.now(UTC)
    return [now, now - timedelta(days=400), now + timedelta(days=3)]
