"""Log rows for tests."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.schema import LogRow, make_row, rows_to_table, write_table
from parking.data.synthetic import generate_scene
from parking.storage import Store

Change = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


@lru_cache(maxsize=512)
def scene_row(seed: int, change: Change | None = None) -> LogRow:
    """A row of a generated scene, changed or not, answered by a model that finds bright pixels."""
    pixels = generate_scene(seed, 256).raster.pixels
    if change is not None:
        pixels = change(pixels, seed)
    return make_row(
        pixels,
        (pixels.mean(axis=2) / 255).astype(np.float32),
        [],
        request_id=f"scene-{seed}",
        model_version="1",
        gsd=0.15,
        gsd_source="assumed",
        latency_ms=10.0,
        time=NOON,
    )


def scene_rows(seeds: Iterable[int], change: Change | None = None) -> list[LogRow]:
    """A row for each seed."""
    return [scene_row(seed, change) for seed in seeds]


def row(base: LogRow | None = None, **changes: Any) -> LogRow:
    """A row, or another's copy, with some of its values changed."""
    return replace(base or scene_row(0), **changes)


def write_rows(store: Store, rows: Sequence[LogRow], *, date: dt.date) -> str:
    """One more file of rows in the log of a day; returns its key."""
    return write_table(store, rows_to_table(rows), date=date, name=uuid.uuid4().hex)
