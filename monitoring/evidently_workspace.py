"""Evidently: its run over a batch, and the workspace in which its UI draws the trend over days."""

import datetime as dt
import fcntl
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from monitoring.drift import EMBEDDING_COLUMNS, IMAGE_COLUMNS, KINDS, PREDICTION_COLUMNS, Finding
from monitoring.schema import values
from parking.files import write_whole

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

__all__ = ["WORKSPACE", "evaluate", "keep_run"]

WORKSPACE = "evidently"
"""Folder in the state folder; `evidently ui --workspace` shows it."""
_RUNS = "nights.json"
_DAMAGED = ".damaged"
"""Ending of a folder beside the workspace, for projects whose description is torn: Evidently reads all in its own."""


def evaluate(
    finding: Finding, reference: pa.Table, sample: pa.Table, share: float, day: dt.date | None = None
) -> "Snapshot":
    """Runs Evidently over the columns of a verdict: drift of images and of predictions, and data quality.

    Args:
        finding: the verdict, with at least one column.
        reference: log rows of the training scenes.
        sample: log rows of the batch, at most `monitoring.reservoir.MAX_ROWS`.
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


def keep_run(folder: Path, project: str, snapshot: "Snapshot", day: dt.date, version: str) -> None:
    """Put the run of a day and version into the workspace, in place of an earlier one.

    Args:
        folder: of the workspace; made where there is none.
        project: its name, that of the model.
        snapshot: Evidently's run, dated by its day.
        day: of the requests.
        version: that answered them.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with _alone(folder), warnings.catch_warnings():
        # Evidently's own imports warn of what it will have to change.
        warnings.simplefilter("ignore")
        damaged = remove_torn(folder)
        try:
            _add(folder, project, snapshot, f"{day} version {version}", damaged)
        finally:
            # If the disk is full, a half-written run must not be in the way of later ones.
            remove_torn(folder)


def _add(folder: Path, project: str, snapshot: "Snapshot", name: str, damaged: list[Path]) -> None:
    """Add a run under a name, and the runs of damaged projects."""
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(str(folder))
    found = workspace.search_project(project)
    number = found[0].id if found else _create(workspace, project)
    for old in damaged:
        adopt_runs(old, folder / str(number))
    runs = _read(folder / _RUNS)
    if runs.get(name) in {str(run) for run in workspace.list_runs(number)}:
        workspace.delete_run(number, runs[name])
    runs[name] = str(workspace.add_run(number, snapshot, name=name).id)
    write_whole(folder / _RUNS, json.dumps(runs).encode())


def remove_torn(folder: Path) -> list[Path]:
    """Remove files that Evidently began and could not end: it writes them in place, and reads all of them.

    Returns:
        Folders of projects whose own description was torn, out of Evidently's sight now; their runs are whole.
    """
    for file in (*folder.glob("*/snapshots/*.json"), *folder.glob("*/dashboard.json")):
        if not _is_whole(file):
            file.unlink()
    for project in folder.glob("????????-????-????-????-????????????"):
        if not _is_whole(project / "metadata.json"):
            damaged = folder.with_name(f"{folder.name}{_DAMAGED}")
            damaged.mkdir(exist_ok=True)
            project.rename(damaged / project.name)
    return sorted(folder.with_name(f"{folder.name}{_DAMAGED}").glob("*"))


def _is_whole(file: Path) -> bool:
    """Whether a file is JSON to its end."""
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def adopt_runs(damaged: Path, project: Path) -> None:
    """Move the runs of a project that Evidently cannot read to another."""
    (project / "snapshots").mkdir(parents=True, exist_ok=True)
    for run in damaged.glob("snapshots/*.json"):
        run.replace(project / "snapshots" / run.name)
    shutil.rmtree(damaged)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Evidently reads and writes its files in place: one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(workspace: Any, name: str) -> Any:  # noqa: ANN401 - Evidently's, which has no types
    """A project whose dashboard draws every column's drift over the days."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    def lines(columns: Iterable[str]) -> list[Any]:
        return [PanelMetric(legend=one, metric="ValueDrift", metric_labels={"column": one}) for one in columns]

    project = workspace.create_project(name)
    titled = {"Images": IMAGE_COLUMNS, "Embedding": EMBEDDING_COLUMNS, "Answers": PREDICTION_COLUMNS}
    for title, columns in titled.items():
        panel = line_plot_panel(f"{title}: distance from the training, in its spreads", lines(columns))
        project.dashboard.add_panel(panel, tab="Drift")
    return project.id


def _read(file: Path) -> dict[str, str]:
    """Run ids by day and version. Without the file, a day that is compared again has two runs."""
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found
