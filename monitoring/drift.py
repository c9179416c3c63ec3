"""Rows of the inference log compared with those of the training: how far each column moved, and the verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.descriptors import Descriptors, EmbeddingDescriptors, PredictionDescriptors
from monitoring.drift_statistics import ColumnDrift, Kind, StreamingWasserstein, Verdict, drift_limit, judge, shown
from monitoring.outliers import Outliers
from monitoring.reservoir import Reservoir
from monitoring.schema import values

__all__ = [
    "DRIFT_SHARE",
    "EMBEDDING_COLUMNS",
    "IMAGE_COLUMNS",
    "KINDS",
    "PREDICTION_COLUMNS",
    "Comparison",
    "Finding",
    "compare",
]

# The size of an image changes nothing for a model that works in tiles, so it has no vote.
IMAGE_COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(Descriptors) if column.name != "megapixels")
PREDICTION_COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(PredictionDescriptors))
EMBEDDING_COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(EmbeddingDescriptors))
KINDS: dict[str, Kind] = {
    **dict.fromkeys(IMAGE_COLUMNS, "image"),
    **dict.fromkeys(EMBEDDING_COLUMNS, "embedding"),
    **dict.fromkeys(PREDICTION_COLUMNS, "prediction"),
}
DRIFT_SHARE = 0.4
"""Share of drifted columns from which the verdict is `drift`; half of it is a `warning`. One far out will do."""
_MAX_NAMED = 3
"""Columns that the reason names."""


@dataclass(frozen=True)
class Finding:
    """How a batch compares with the training."""

    verdict: Verdict
    reason: str
    """A sentence or two for a person."""
    columns: tuple[ColumnDrift, ...] = ()
    """In falling order of drift; empty for `insufficient_data`."""
    rows: int = 0
    reference_rows: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """The verdict and its numbers, for machines."""
        columns = [{**asdict(column), "drifted": column.drifted} for column in self.columns]
        counts = {"rows": self.rows, "reference_rows": self.reference_rows}
        return {"verdict": self.verdict, "reason": self.reason, **counts, "columns": columns}


class Comparison:
    """A batch compared with the training, read in parts: statistics over all rows, and a sample of them."""

    def __init__(self, reference: pa.Table, seed: int = 0) -> None:
        """No rows yet.

        Args:
            reference: log rows of the training scenes.
            seed: decides which rows the sample holds.
        """
        self.reference = reference
        self.sample = Reservoir(seed)
        self._trained = {name: _known(reference, name) for name in KINDS}
        known = {name: column for name, column in self._trained.items() if len(column)}
        self._streams = {name: StreamingWasserstein(column) for name, column in known.items()}
        self.outliers = Outliers({name: column for name, column in known.items() if KINDS[name] != "prediction"})
        """Rows whose images differ most from those of the training."""

    @property
    def rows(self) -> int:
        """Rows read."""
        return self.sample.rows_seen

    def add(self, rows: pa.Table) -> None:
        """Read a part of the batch."""
        self.sample.add(rows)
        self.outliers.add(rows)
        for name, stream in self._streams.items():
            stream.add(values(rows, name))

    def finding(self, *, min_rows: int, threshold: float, share: float) -> Finding:
        """The verdict on what was read.

        Args:
            min_rows: rows of either side below which nothing is claimed.
            threshold: effect size from which a column counts as drifted, in units of the reference's spread. With few
                rows the limit is higher: see `monitoring.drift_statistics.drift_limit`.
            share: of the columns, from which the verdict is `drift`.
        """
        sides = (self.rows, self.reference.num_rows)
        if min(sides) < min_rows:
            reason = (
                f"{sides[0]} rows, compared with {sides[1]} of the training, are too few to tell drift from chance: "
                f"each side needs {min_rows}."
            )
            return Finding("insufficient_data", reason, (), *sides)
        columns = sorted(self._columns(min_rows, threshold), key=lambda column: column.excess, reverse=True)
        if not columns:
            reason = f"No column has a value in at least {min_rows} rows of the log and of the training."
            return Finding("insufficient_data", reason, (), *sides)
        verdict = judge(columns, share)
        return Finding(verdict, _reason(verdict, columns, *sides), tuple(columns), *sides)

    def _columns(self, min_rows: int, threshold: float) -> list[ColumnDrift]:
        """Columns with a value in at least `min_rows` rows on both sides."""
        found = []
        for name, stream in self._streams.items():
            trained = self._trained[name]
            if min(len(trained), stream.known) < min_rows:
                continue
            low, high = np.quantile(trained, (0.05, 0.95))
            found.append(
                ColumnDrift(
                    name=name,
                    kind=KINDS[name],
                    score=stream.distance(),
                    limit=drift_limit(trained, stream.known, threshold),
                    reference_mean=float(trained.mean()),
                    current_mean=stream.mean,
                    reference_low=float(low),
                    reference_high=float(high),
                    missing=stream.missing,
                )
            )
        return found


def compare(reference: pa.Table, current: pa.Table, *, min_rows: int, threshold: float, share: float) -> Finding:
    """Compares a batch that is in memory with the training; see `Comparison.finding`."""
    batch = Comparison(reference)
    batch.add(current)
    return batch.finding(min_rows=min_rows, threshold=threshold, share=share)


def _known(table: pa.Table, name: str) -> NDArray[np.float64]:
    column = values(table, name)
    return column[np.isfinite(column)]


def _reason(verdict: Verdict, columns: Sequence[ColumnDrift], rows: int, reference_rows: int) -> str:
    sides = f"{rows} rows compared with {reference_rows} of the training"
    drifted = [column for column in columns if column.drifted]
    if not drifted:
        highest = columns[0]
        return f"{sides}: no column moved; the nearest to its limit is {highest.name} ({highest.excess:.0%} of it)."
    moved = "; ".join(map(_moved, drifted[:_MAX_NAMED]))
    little = ", too little for a warning" if verdict == "ok" else ""
    return f"{sides}: {len(drifted)} of {len(columns)} columns moved{little}. Means of those that moved most: {moved}."


def _moved(column: ColumnDrift) -> str:
    """From where to where: a plain "7 to 3" would read as a range."""
    before, after = (
        shown(mean, column.reference_low, column.reference_high)
        for mean in (column.reference_mean, column.current_mean)
    )
    return f"{column.name} from {before} in training to {after}"
