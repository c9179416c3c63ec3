"""Callers that ask again as soon as they are answered."""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

Ask = Callable[[httpx.Client], httpx.Response]


@dataclass(frozen=True)
class Load:
    """What callers got."""

    answers: int
    failures: int
    per_second: float
    p50_ms: float
    p99_ms: float


def press(ask: Ask, clients: int, seconds: float, *, least: int = 3) -> Load:
    """Ask from several threads for some time, and until there are a few answers.

    Args:
        ask: one request.
        clients: callers at once.
        seconds: after which none asks again.
        least: answers to wait for, however long it takes.
    """
    took: list[float] = []
    failures: list[str] = []
    started = time.perf_counter()
    last = threading.Event()

    def caller() -> None:
        with httpx.Client(timeout=600, trust_env=False) as client:
            while not last.is_set():
                before = time.perf_counter()
                try:
                    answer = ask(client)
                    if answer.status_code != 200:
                        failures.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                took.append(time.perf_counter() - before)
                if time.perf_counter() - started > seconds and len(took) >= least:
                    last.set()

    with ThreadPoolExecutor(clients) as pool:
        for one in [pool.submit(caller) for _ in range(clients)]:
            one.result()
    for failure in failures[:3]:
        print(f"    failed: {failure}")
    ordered = sorted(took)
    elapsed = time.perf_counter() - started
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Load(len(took), len(failures), len(took) / elapsed, statistics.median(ordered) * 1000, p99 * 1000)
