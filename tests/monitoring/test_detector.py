"""The detector of drift, in short what tests/bench/drift.py measures at length."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from monitoring.schema import make_row, rows_to_table
from tests.bench.drift import SHIFTS, SIDE, Pixels, Shift, alarms, calm_nights, drawn, look, tell

TRAINED, ASKED = 48, 32
FULL = SHIFTS[-1]


def seen(scene: Callable[[int], Pixels], seeds: range) -> pa.Table:
    """Rows of images that nobody answered: these shifts show in the images alone."""
    empty = np.zeros((SIDE, SIDE), np.float32)
    return rows_to_table(
        [
            make_row(
                scene(seed), empty, [], request_id="", model_version="1", gsd=0.15, gsd_source="file", latency_ms=0.0
            )
            for seed in seeds
        ]
    )


@pytest.fixture(scope="module")
def pool() -> pa.Table:
    return seen(drawn, range(TRAINED + 2 * ASKED))


def test_days_without_a_change_hardly_raise_an_alarm(pool: pa.Table) -> None:
    assert alarms(list(calm_nights(pool, 12, ASKED, TRAINED))) <= 0.1


@pytest.mark.parametrize("shift", SHIFTS[:-1], ids=lambda shift: shift.name)
def test_a_shift_of_the_images_is_caught_and_named(shift: Shift, pool: pa.Table) -> None:
    finding = look(pool.slice(0, TRAINED), seen(shift.scene, range(900, 900 + ASKED)))
    assert finding.verdict == "drift", finding.reason
    assert tell(shift, finding)["caught"], finding.reason
