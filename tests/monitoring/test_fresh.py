"""A deployment that has trained nothing yet: the shipped version's drift is judged from the first day on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.drift import KINDS
from monitoring.nightly import monitor_day
from monitoring.reference import made_with
from monitoring.schema import LogRow, table_from_parquet, values
from parking.detection.contract import read_contract
from parking.settings import Settings
from parking.shipped import StockedRegistry, shipped_model, shipped_reference
from parking.storage import Store, open_store
from tests.monitoring.rows import NOON, write_rows

DAY = NOON.date()
NOT_YET_IN_REFERENCE = frozenset[str]()
"""Columns that were added after the shipped model's reference was made, and are not judged until it is made again."""
REMAKE = "Make the shipped model's reference again: MODEL_CARD.md has the command."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def asked(light: float) -> list[LogRow]:
    """A day of requests like the scenes that the shipped model learnt from, in this light."""
    trained = [LogRow(**scene) for scene in table_from_parquet(shipped_reference().read_bytes()).to_pylist()]
    drawn = np.random.default_rng(0).choice(len(trained), 60)
    alike = [replace(trained[number], model_version="1", time=NOON) for number in drawn]
    return [replace(row, luminance=row.luminance * light, haze=row.haze * light) for row in alike]


@pytest.mark.e2e
@pytest.mark.parametrize(("light", "verdict"), [(1.0, "ok"), (0.2, "drift")])
def test_its_first_day_is_judged(settings: Settings, store: Store, light: float, verdict: str) -> None:
    registry = StockedRegistry(settings)
    registry.resolve()
    write_rows(store, asked(light), date=DAY)
    (report,) = monitor_day(store, registry, settings, DAY)
    assert (report.version, report.verdict) == ("1", verdict), report.reason


def test_the_reference_knows_every_column_that_is_judged_today() -> None:
    missing = set(KINDS) - set(pq.read_schema(shipped_reference()).names)
    assert missing == NOT_YET_IN_REFERENCE, REMAKE
    table = table_from_parquet(shipped_reference().read_bytes())
    known = {name: int(np.isfinite(values(table, name)).sum()) for name in KINDS if name not in missing}
    assert min(known.values()) > table.num_rows / 2, f"{known}: {REMAKE}"


def test_the_reference_was_made_with_the_model_that_ships() -> None:
    told = pq.read_schema(shipped_reference()).metadata[b"made_with"].decode()
    assert told == made_with(read_contract(shipped_model())), REMAKE


def test_the_reference_is_small_and_holds_no_imagery() -> None:
    assert shipped_reference().stat().st_size < 100_000
    assert not [field.name for field in pq.read_schema(shipped_reference()) if pa.types.is_binary(field.type)]
