"""The report for people: Evidently's page, with our own head above it."""

import datetime as dt
import os
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from monitoring.drift import KINDS, Finding
from monitoring.schema import values
from monitoring.slim import slim

if TYPE_CHECKING:
    from evidently.core.report import Snapshot


def page(head: str, snapshot: "Snapshot") -> str:
    """A page that needs no network, under 5 MB.

    Args:
        head: see `monitoring.summary.summary`.
        snapshot: Evidently's run of the sample.
    """
    shown: str = snapshot.get_html_str(as_iframe=False)
    return slim(shown).replace("<body>", f"<body>{head}", 1)


def bare_page(head: str) -> str:
    """The page of a batch about which nothing can be claimed: its head alone."""
    return f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"></head><body>{head}</body></html>'


def evaluate(
    finding: Finding, reference: pa.Table, sample: pa.Table, share: float, day: dt.date | None = None
) -> "Snapshot":
    """Runs Evidently over the columns that were judged: drift of images and of predictions, and data quality.

    Args:
        finding: the verdict, with at least one column.
        reference: log rows of the training scenes.
        sample: log rows of the batch, at most `monitoring.reservoir.MOST_ROWS`.
        share: of the columns, from which the verdict is `drift`.
        day: of the batch, which dates the run; now by default.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        # Evidently's own imports warn of what it will have to change. They also take many seconds: hence here.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import DatasetMissingValueCount, DuplicatedRowCount, RowCount, ValueDrift
        from evidently.presets import DataDriftPreset
    import pandas as pd

    limits = {column.name: column.limit for column in finding.columns}
    definition = DataDefinition(numerical_columns=list(limits))
    datasets = [
        Dataset.from_pandas(pd.DataFrame({n: values(t, n) for n in limits}), data_definition=definition)
        for t in (sample, reference)
    ]
    images = [name for name in limits if KINDS[name] != "prediction"]
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
    quality = [RowCount(), DatasetMissingValueCount(), DuplicatedRowCount()]
    # A column that is the same in every row has no correlation with others: Evidently divides by its zero spread.
    with np.errstate(invalid="ignore", divide="ignore"):
        moment = dt.datetime.combine(day, dt.time()) if day else None
        return Report([preset, *predictions, *quality]).run(*datasets, timestamp=moment)
