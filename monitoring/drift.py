"""The drift report of a batch of log rows against those of the training: Evidently's page, and a verdict."""

import html
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.descriptors import Descriptors, PredictionDescriptors
from monitoring.effects import ColumnDrift, Kind, Verdict, judge, limit

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

# The size of an image changes nothing for a model that works in tiles, so it has no vote.
IMAGE_COLUMNS: tuple[str, ...] = tuple(name for name in Descriptors.__annotations__ if name != "megapixels")
PREDICTION_COLUMNS: tuple[str, ...] = tuple(PredictionDescriptors.__annotations__)
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(IMAGE_COLUMNS, "image"),
    **dict.fromkeys(PREDICTION_COLUMNS, "prediction"),
}
_MOST_ROWS = 2000
"""Rows of each side that a report looks at, drawn at random: its page has to stay small enough to open."""
_NAMED = 3


@dataclass(frozen=True)
class DriftReport:
    """What a batch looks like beside the training."""

    verdict: Verdict
    reason: str
    """A sentence or two for a person."""
    columns: tuple[ColumnDrift, ...]
    """The furthest moved first; empty for `insufficient_data`."""
    rows: int
    reference_rows: int
    html: str
    """A page that needs no network, under 5 MB."""

    @property
    def json(self) -> dict[str, Any]:
        """The verdict and its numbers, for machines."""
        columns = [{**asdict(column), "drifted": column.drifted} for column in self.columns]
        counts = {"rows": self.rows, "reference_rows": self.reference_rows}
        return {"verdict": self.verdict, "reason": self.reason, **counts, "columns": columns}


def compare(reference: pa.Table, current: pa.Table, *, min_rows: int, threshold: float, share: float) -> DriftReport:
    """Compares a batch with the training.

    Args:
        reference: log rows of the training scenes.
        current: log rows of the batch.
        min_rows: rows of either side below which nothing is claimed.
        threshold: effect size from which a column counts as drifted, in units of the reference's spread. With few
            rows the limit is higher: see `monitoring.effects.limit`.
        share: of the columns, from which the verdict is `drift`.
    """
    rows = (current.num_rows, reference.num_rows)
    if min(rows) < min_rows:
        return insufficient(
            f"{rows[0]} rows beside {rows[1]} of the training are too few to tell drift from chance: "
            f"each side needs {min_rows}.",
            *rows,
        )
    sides = _values(reference), _values(current)
    names = [name for name in _KINDS if min(len(side[name]) for side in sides) >= min_rows]
    limits = {name: limit(sides[0][name], len(sides[1][name]), threshold) for name in names}
    snapshot = _evaluate(*sides, limits, share)
    scores = _scores(snapshot)
    columns = [
        ColumnDrift(name, _KINDS[name], scores[name], limits[name], *(float(side[name].mean()) for side in sides))
        for name in names
    ]
    columns.sort(key=lambda column: column.excess, reverse=True)
    verdict = judge(columns, share)
    reason = _reason(verdict, columns, *rows)
    page = snapshot.get_html_str(as_iframe=False).replace("<body>", f"<body>{_banner(verdict, reason)}", 1)
    return DriftReport(verdict, reason, tuple(columns), *rows, page)


def insufficient(reason: str, rows: int = 0, reference_rows: int = 0) -> DriftReport:
    """The report of a batch about which nothing can be claimed."""
    banner = _banner("insufficient_data", reason)
    page = f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"></head><body>{banner}</body></html>'
    return DriftReport("insufficient_data", reason, (), rows, reference_rows, page)


def _values(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """The columns' known values, of at most `_MOST_ROWS` rows."""
    if table.num_rows > _MOST_ROWS:
        drawn = np.random.default_rng(0).choice(table.num_rows, _MOST_ROWS, replace=False)
        table = table.take(np.sort(drawn))
    return {name: table[name].drop_null().to_numpy().astype(np.float64) for name in _KINDS}


def _evaluate(
    reference: Mapping[str, NDArray[np.float64]],
    current: Mapping[str, NDArray[np.float64]],
    limits: Mapping[str, float],
    share: float,
) -> "Snapshot":
    """Runs Evidently over the columns that have a limit."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        # Evidently's own imports warn of what it will have to change. They also take many seconds: hence here.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift
        from evidently.presets import DataDriftPreset
    import pandas as pd

    definition = DataDefinition(numerical_columns=list(limits))
    datasets = [
        Dataset.from_pandas(pd.DataFrame({name: pd.Series(side[name]) for name in limits}), data_definition=definition)
        for side in (current, reference)
    ]
    images = [name for name in limits if _KINDS[name] == "image"]
    preset = DataDriftPreset(
        columns=images,
        num_method="wasserstein",
        per_column_threshold={name: limits[name] for name in images},
        drift_share=share,
        include_tests=False,
    )
    predictions = [
        ValueDrift(column=name, method="wasserstein", threshold=limits[name]) for name in limits if name not in images
    ]
    # A column that is the same in every row has no correlation with others: Evidently divides by its zero spread.
    with np.errstate(invalid="ignore", divide="ignore"):
        return Report([preset, *predictions]).run(*datasets)


def _scores(snapshot: "Snapshot") -> dict[str, float]:
    metrics = [metric for metric in snapshot.dict()["metrics"] if "ValueDrift" in metric["config"]["type"]]
    return {metric["config"]["column"]: float(metric["value"]) for metric in metrics}


def _reason(verdict: Verdict, columns: Sequence[ColumnDrift], rows: int, reference_rows: int) -> str:
    sides = f"{rows} rows beside {reference_rows} of the training"
    drifted = [column for column in columns if column.drifted]
    if not drifted:
        nearest = columns[0]
        return f"{sides}: no column moved; the nearest to its limit is {nearest.name} ({nearest.excess:.0%} of it)."
    moved = ", ".join(f"{c.name} ({c.reference_mean:.3g} to {c.current_mean:.3g})" for c in drifted[:_NAMED])
    count = f"{len(drifted)} of {len(columns)} columns moved, most of all {moved}"
    return f"{sides}: {count}{'; too little for a warning.' if verdict == 'ok' else '.'}"


def _banner(verdict: Verdict, reason: str) -> str:
    """The verdict above Evidently's own page, which knows only shares of columns."""
    text = f"<strong>{verdict.replace('_', ' ')}</strong>: {html.escape(reason)}"
    return f'<p style="font: 16px/1.5 sans-serif; margin: 24px; max-width: 60em">{text}</p>'
