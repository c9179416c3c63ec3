"""One service as a process, callers that ask it, and what is left in the store afterwards."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from monitoring.schema import read_rows
from parking.data.imagery import encode_png
from parking.registry import PRODUCTION, Version
from parking.settings import Settings
from parking.storage import open_store
from service.last_served import last_served_file
from tests.doubles import write_bright_model
from tests.servers import free_ports

_READY_SECONDS = 120.0


def picture(side: int = 120) -> bytes:
    """Dark ground with one bright bay."""
    pixels = np.full((side, side, 3), 20, np.uint8)
    pixels[40:73, 60:77] = 240
    return encode_png(pixels)


@dataclass
class Answers:
    """What callers got."""

    statuses: Counter[int] = field(default_factory=Counter)
    """How often each status came; 0 where the connection broke."""
    ids: list[str] = field(default_factory=list)
    """Of the answers that a caller holds in his hand."""
    bare: int = 0
    """Failures that were no problem details."""


@dataclass
class Service:
    """A service on a state folder and a store, which can be killed and started again."""

    state: Path
    store: str
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: "subprocess.Popen[bytes] | None" = None
    waited: float = 0.0
    """Seconds until the store had the rows that were last looked for."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it is ready; it serves the model that it remembers, for there is no registry."""
        code = f"from service.app import main; main('127.0.0.1', {self.port})"
        log = (self.state.parent / "service.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **self._environment()}, stdout=log, stderr=log
        )
        log.close()
        end = time.monotonic() + _READY_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, (self.state.parent / "service.log").read_text()[-3000:]
            assert time.monotonic() < end, "the service did not become ready"
            time.sleep(0.05)

    def prepare(self) -> None:
        """Let it remember a model, as after a life with a registry that is down now."""
        self.state.mkdir(parents=True, exist_ok=True)
        file = write_bright_model(self.state.parent / "model.onnx")
        settings = Settings(_env_file=None, state_dir=self.state, mlflow_tracking_uri=self._registry())
        version = Version(settings.model_name, 1, None, (PRODUCTION,), {}, datetime.now(UTC))
        import hashlib

        last_served_file(settings).keep(version, file, hashlib.sha256(file.read_bytes()).hexdigest())

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """As the kernel does when memory ends."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 40.0) -> tuple[int | None, float]:
        """Stop it with SIGTERM; returns its exit status, None where it had to be killed, and how long that took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status: int | None = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            self.kill()
        return status, time.monotonic() - started

    def ask(self, answers: Answers, image: bytes, timeout: float = 60.0) -> None:
        """One caller's one request."""
        try:
            answer = httpx.post(f"{self.address}/predict", files={"file": ("a.png", image)}, timeout=timeout)
        except httpx.HTTPError:
            answers.statuses[0] += 1
            return
        answers.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            answers.ids.append(answer.json()["answer_id"])
        elif answer.headers.get("content-type") != "application/problem+json":
            answers.bare += 1

    def correct(self, answer_id: str) -> int:
        """Say of an answer that it is right; returns the status, 0 where the connection broke."""
        try:
            said = {"answer_id": answer_id, "right": True}
            return httpx.post(f"{self.address}/feedback", json=said, timeout=30).status_code
        except httpx.HTTPError:
            return 0

    def logged(self) -> Counter[str]:
        """How often each answer has a row in the store."""
        today = datetime.now(UTC).date()
        rows = read_rows(open_store(self.store), today).table
        return Counter(rows["answer_id"].to_pylist())

    def missing_rows(self, answers: Answers, seconds: float = 120.0) -> int:
        """Answers without exactly one row, once the log has had time to be written; `waited` is how long it took."""
        started = time.monotonic()
        while True:
            logged = self.logged()
            wrong = sum(logged[one] != 1 for one in answers.ids)
            self.waited = time.monotonic() - started
            if not wrong or self.waited > seconds:
                return wrong
            time.sleep(0.2)

    def unheld_rows(self, answers: Answers) -> int:
        """Answers whose row is neither on this machine's disk nor in the store, while the service does not run.

        Such a row is lost for good; one that is held and not in the store yet is only late.
        """
        with closing(sqlite3.connect(self.state / "inference-log" / "rows.db")) as database:
            held = {key for (key,) in database.execute("SELECT key FROM rows")}
        logged = self.logged()
        return sum(one not in held and not logged[one] for one in answers.ids)

    def metric(self, name: str) -> float:
        """A number of its metrics."""
        for line in httpx.get(f"{self.address}/metrics", timeout=10).text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return 0.0

    def _registry(self) -> str:
        return self.variables.get("PARKING_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    def _environment(self) -> dict[str, str]:
        return {
            "PARKING_STATE_DIR": str(self.state),
            "PARKING_STORE": self.store,
            "PARKING_MLFLOW_TRACKING_URI": self._registry(),
            "PARKING_THREADS": "1",
            **self.variables,
        }


@contextmanager
def callers(service: Service, count: int, image: bytes | None = None) -> Iterator[Answers]:
    """Callers that ask without a break, until the block ends."""
    answers, enough, sent = Answers(), threading.Event(), image or picture()

    def ask() -> None:
        while not enough.is_set():
            before = answers.statuses[0]
            service.ask(answers, sent)
            if answers.statuses[0] > before:
                # Nobody is there: the next try is not worth a busy loop.
                time.sleep(0.05)

    with ThreadPoolExecutor(count) as pool:
        asking = [pool.submit(ask) for _ in range(count)]
        try:
            yield answers
        finally:
            enough.set()
        for one in asking:
            one.result()


def wait_for(answers: Answers, count: int, seconds: float = 60.0) -> None:
    """Until so many have answers."""
    end = time.monotonic() + seconds
    while len(answers.ids) < count:
        assert time.monotonic() < end, f"only {len(answers.ids)} of {count} answers came: {answers.statuses}"
        time.sleep(0.01)
