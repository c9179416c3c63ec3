"""What watching costs: the nightly look over days of any size, the descriptors of one image, the report's page.

uv run python tests/bench/monitoring.py [--json]
"""

import argparse
import datetime as dt
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

if __name__ == "__main__":  # Run as a file, this folder comes first on the path; the project should.
    sys.path[0] = str(Path(__file__).parents[2])

from monitoring.descriptors import describe, describe_prediction
from monitoring.drift import EMBEDDING_COLUMNS
from monitoring.nightly import monitor_day
from monitoring.schema import rows_to_table, table_to_parquet, write_table
from parking.data.synthetic.scene import generate_scene
from parking.detection.detector import Detector
from parking.settings import Settings
from parking.shipped import shipped_model
from parking.storage import Store, open_store
from tests.monitoring.fake_registry import FakeRegistry
from tests.monitoring.rows import NOON, scene_rows

DAY = NOON.date()
FILES = 24
"""A file an hour, as one process of the service writes them."""


def write_day(store: Store, rows: int) -> None:
    """A day of that many requests, drawn from rows of generated scenes."""
    scenes = rows_to_table(scene_rows(range(50, 114)))
    rng = np.random.default_rng(0)
    for hour, count in enumerate(np.diff(np.linspace(0, rows, FILES + 1).astype(int))):
        part = seen(scenes.take(rng.integers(0, scenes.num_rows, count)), rng)
        noisy = pa.array(part["luminance"].to_numpy() + rng.normal(0, 0.01, count))
        part = part.set_column(part.schema.get_field_index("luminance"), "luminance", noisy)
        write_table(store, part, date=DAY, name=f"{hour:02}")


def seen(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """The rows with components of an embedding, as a model that has one gives them."""
    for name in EMBEDDING_COLUMNS:
        components = pa.array(rng.normal(size=table.num_rows))
        table = table.set_column(table.schema.get_field_index(name), name, components)
    return table


def night(folder: Path, rows: int, answer: Connection) -> None:
    """Look at one day in this process, and say what it took."""
    store = open_store(str(folder / "store"))
    reference = table_to_parquet(seen(rows_to_table(scene_rows(range(40))), np.random.default_rng(1)))
    settings = Settings(_env_file=None, state_dir=folder / "state")
    import evidently  # noqa: F401 - its import is the same for every day, and is not what is measured

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    (report,) = monitor_day(store, FakeRegistry({"1": reference}), settings, DAY)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert report.rows == rows
    answer.send(
        {
            "rows": rows,
            "seconds": round(seconds, 1),
            "peak_mb": round(peak / 1024),
            "added_mb": round((peak - before) / 1024),
            "page_mb": round(store.size(report.html) / 1e6, 2),
            "log_mb": round(sum(store.size(key) for key in store.keys("inference-log/")) / 1e6, 1),
        }
    )


def nights(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Each day in a fresh process, so that no peak hides another."""
    results = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            write_day(open_store(str(Path(scratch) / "store")), rows)
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(target=night, args=(Path(scratch), rows, theirs))
            process.start()
            results.append(ours.recv())
            process.join()
    return results


def descriptors(side: int, rounds: int) -> dict[str, Any]:
    """The cost of one image's descriptors beside its inference by the shipped model, in turns."""
    raster = replace(generate_scene(1, side).raster, gsd=None)
    detector = Detector.load(shipped_model())
    found = detector.detect(raster)
    costs: list[float] = []
    inferences: list[float] = []
    for _ in range(rounds):
        inferences.append(_seconds(lambda: detector.detect(raster)))
        costs.append(_seconds(lambda: (describe(raster.pixels), describe_prediction(found.probability, found.spots))))
    cost, inference = statistics.median(costs) * 1000, statistics.median(inferences) * 1000
    row = {"side": side, "descriptors_ms": round(cost, 1), "inference_ms": round(inference)}
    return {**row, "share": round(cost / inference, 4)}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the tables")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    results: dict[str, Any] = {
        "nights": nights(options.rows),
        "descriptors": [descriptors(side, options.rounds) for side in options.sides],
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "day": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    if options.json:
        print(json.dumps(results))
        return
    print("| rows | log | time | peak memory | of it the look's own | page |\n| --- | --- | --- | --- | --- | --- |")
    for row in results["nights"]:
        print(
            f"| {row['rows']:,} | {row['log_mb']} MB | {row['seconds']} s | {row['peak_mb']} MiB | "
            f"{row['added_mb']} MiB | {row['page_mb']} MB |"
        )
    print("\n| image | descriptors | inference | share |\n| --- | --- | --- | --- |")
    for row in results["descriptors"]:
        print(f"| {row['side']} px | {row['descriptors_ms']} ms | {row['inference_ms']} ms | {row['share']:.1%} |")
    print(f"\n{results['cores']} cores, load {results['load']} at the end.")


if __name__ == "__main__":
    main()
