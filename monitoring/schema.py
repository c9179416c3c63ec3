"""The inference log: one row for every image that was answered, as Parquet in the store, by day."""

import datetime as dt
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitoring.descriptors import (
    Descriptors,
    EmbeddingDescriptors,
    PredictionDescriptors,
    describe,
    describe_embedding,
    describe_prediction,
)
from parking.detection.spots import Spot
from parking.errors import MonitoringError, StoreError
from parking.storage import Store

__all__ = [
    "LOG_PREFIX",
    "LOG_SCHEMA",
    "LogRead",
    "LogRow",
    "log_keys",
    "log_state",
    "make_row",
    "read_parts",
    "read_rows",
    "read_table",
    "rows_to_table",
    "table_from_parquet",
    "table_of",
    "table_to_parquet",
    "values",
    "write_table",
]

LOG_PREFIX = "inference-log/"

_PART_ROWS = 8192
"""Rows in memory at a time while a day is read: some two megabytes."""


@dataclass(frozen=True, kw_only=True)
class LogRow(EmbeddingDescriptors, PredictionDescriptors, Descriptors):
    """One image and its answer as numbers; the image itself is never logged.

    Its columns are those below and the fields of the three kinds of descriptors.
    """

    time: dt.datetime
    """When the answer was ready, UTC."""
    request_id: str
    """The caller's name for the request; several rows may have the same."""
    answer_id: str = ""
    """Of the answer alone, made by the service; empty in a reference."""
    model_version: str
    """Number of the registered version that answered, as text."""
    width: int
    height: int
    gsd: float
    """Metres per pixel."""
    gsd_source: str
    """`file`, `caller`, `vehicles`, `texture` or `assumed`."""
    latency_ms: float


_ARROW_TYPES: dict[Any, pa.DataType] = {
    dt.datetime: pa.timestamp("us", tz="UTC"),
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    float | None: pa.float64(),
}
# What identifies a row comes first, for whoever opens a file of the log.
_COLUMNS = sorted(fields(LogRow), key=lambda column: column.name not in LogRow.__annotations__)
LOG_SCHEMA: pa.Schema = pa.schema([(column.name, _ARROW_TYPES[column.type]) for column in _COLUMNS])


@dataclass(frozen=True)
class LogRead:
    """A day of the log or a part of it, and the problems in reading it."""

    table: pa.Table
    problems: tuple[str, ...] = ()
    """A sentence for each file that is torn or is no log; its rows are missing from the table."""


def make_row(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.floating],
    spots: Sequence[Spot],
    *,
    request_id: str,
    model_version: str,
    gsd: float,
    gsd_source: str,
    latency_ms: float,
    embedding: Sequence[float] = (),
    time: dt.datetime | None = None,
    answer_id: str = "",
) -> LogRow:
    """The row of one image and its answer; the service and the training reference both use it.

    Args:
        pixels: (H, W, 3) RGB, uint8, as the network read them: descriptors depend on the resolution.
        probability: (H, W), chance of free parking in [0, 1].
        spots: the places found.
        request_id: names the request; the scene's name in a reference.
        model_version: number of the version that answered; empty in a reference, made before it has one.
        gsd: metres per pixel.
        gsd_source: see `parking.detection.scale.GsdSource`.
        latency_ms: time of the inference, in milliseconds.
        embedding: see `parking.detection.detection.Detection`; empty if the model has none.
        time: when; now by default.
        answer_id: names the answer; empty in a reference.
    """
    height, width = pixels.shape[:2]
    return LogRow(
        time=time or dt.datetime.now(dt.UTC),
        request_id=request_id,
        model_version=model_version,
        width=width,
        height=height,
        gsd=gsd,
        gsd_source=gsd_source,
        latency_ms=latency_ms,
        **asdict(describe(pixels)),
        **asdict(describe_prediction(probability, spots)),
        **asdict(describe_embedding(embedding)),
        answer_id=answer_id,
    )


def rows_to_table(rows: Sequence[LogRow]) -> pa.Table:
    """The rows as a table of `LOG_SCHEMA`."""
    return table_of([asdict(row) for row in rows])


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows that are given by column as a table of `LOG_SCHEMA`; columns that one lacks are null."""
    return pa.Table.from_pylist(rows, schema=LOG_SCHEMA)


def write_table(store: Store, table: pa.Table, *, date: dt.date, name: str) -> str:
    """Writes a table of rows under a name that only this writer uses; the same name again replaces the file.

    Returns:
        The key of the file.
    """
    key = f"{_day_prefix(date)}{name}.parquet"
    store.write(key, table_to_parquet(table))
    return key


def read_table(store: Store, *, date: dt.date, name: str) -> pa.Table:
    """The table that was written under a name.

    Raises:
        MissingKeyError: there is none.
        MonitoringError: it is damaged.
    """
    return table_from_parquet(store.read(f"{_day_prefix(date)}{name}.parquet"))


def log_keys(store: Store, date: dt.date) -> list[str]:
    """The files of a day of the log."""
    return list(store.keys(_day_prefix(date)))


def log_state(store: Store, date: dt.date) -> tuple[int, str]:
    """How many files a day of the log has, and a fingerprint that changes with every row."""
    files = list(store.tags(_day_prefix(date)))
    return len(files), hashlib.sha256(repr(files).encode()).hexdigest()[:16]


def read_parts(store: Store, date: dt.date) -> Iterator[LogRead]:
    """A day of the log in parts: in memory are one file as it is stored, and one part of its rows.

    A damaged file costs its own rows, all of them, and no others: each is read to its end before a row is counted.
    """
    for key in log_keys(store, date):
        try:
            data = store.read(key)
            for _ in _tables(data):
                pass
        except (MonitoringError, StoreError) as error:
            yield LogRead(LOG_SCHEMA.empty_table(), (f"The rows of {key} are left out. {error}",))
        else:
            yield from map(LogRead, _tables(data))


def read_rows(store: Store, date: dt.date, *, version: str | None = None) -> LogRead:
    """Reads a day of the log into memory, of all versions or of one; a file that cannot be read is named."""
    parts = list(read_parts(store, date))
    table = pa.concat_tables([LOG_SCHEMA.empty_table(), *(part.table for part in parts)])
    if version is not None:
        table = table.filter(pc.equal(table["model_version"], version))
    return LogRead(table, tuple(problem for part in parts for problem in part.problems))


def values(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column as floats, NaN where it has no value."""
    column: NDArray[np.float64] = table[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return column


def table_to_parquet(table: pa.Table) -> bytes:
    """The table as the bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=_PART_ROWS, compression="zstd")
    return sink.getvalue()


def table_from_parquet(data: bytes) -> pa.Table:
    """Reads rows of this or an older schema: columns it lacks are null, columns unknown today are dropped.

    Raises:
        MonitoringError: the bytes are no Parquet file, or hold no log rows.
    """
    return pa.concat_tables([LOG_SCHEMA.empty_table(), *_tables(data)])


def _tables(data: bytes) -> Iterator[pa.Table]:
    """The rows of a file in parts; see `table_from_parquet`."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        if "time" not in names or "model_version" not in names:
            raise MonitoringError(f"It holds no log rows, but the columns {', '.join(names)}.")
        for batch in file.iter_batches(_PART_ROWS):
            yield pa.table([_column(batch, column) for column in LOG_SCHEMA], schema=LOG_SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise MonitoringError(f"It is not a readable Parquet file of log rows: {error}") from error


def _column(batch: pa.RecordBatch, column: pa.Field) -> pa.Array:
    if column.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, column.type)
    return batch.column(column.name).cast(column.type)


def _day_prefix(date: dt.date) -> str:
    return f"{LOG_PREFIX}date={date:%Y-%m-%d}/"
