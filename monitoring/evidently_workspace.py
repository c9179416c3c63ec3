"""Trends over days in Evidently's own UI: a workspace in a folder, with a run for each night and version."""

import datetime as dt
import fcntl
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parking.files import write_whole

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

WORKSPACE = "evidently"
"""Folder in the state folder; `evidently ui --workspace` shows it."""
_RUNS = "nights.json"


def keep_run(folder: Path, project: str, snapshot: "Snapshot", day: dt.date, version: str) -> None:
    """Put a night's run into the workspace; the same night again takes the place of the one before.

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
        from evidently.ui.workspace import Workspace

        workspace = Workspace.create(str(folder))
        found = workspace.search_project(project)
        number = found[0].id if found else _create(workspace, project)
        runs, name = _read(folder / _RUNS), f"{day} version {version}"
        if runs.get(name) in {str(run) for run in workspace.list_runs(number)}:
            workspace.delete_run(number, runs[name])
        runs[name] = str(workspace.add_run(number, snapshot, name=name).id)
        write_whole(folder / _RUNS, json.dumps(runs).encode())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Evidently reads and writes its files in place: one look at a time, of all processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(workspace: Any, name: str) -> Any:  # noqa: ANN401 - Evidently's, which has no types
    """A project whose dashboard draws every column's drift over the days."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    from monitoring.drift import EMBEDDING_COLUMNS, IMAGE_COLUMNS, PREDICTION_COLUMNS

    def lines(columns: Iterable[str]) -> list[Any]:
        return [PanelMetric(legend=one, metric="ValueDrift", metric_labels={"column": one}) for one in columns]

    project = workspace.create_project(name)
    titled = {"Images": IMAGE_COLUMNS, "Embedding": EMBEDDING_COLUMNS, "Answers": PREDICTION_COLUMNS}
    for title, columns in titled.items():
        panel = line_plot_panel(f"{title}: distance from the training, in its spreads", lines(columns))
        project.dashboard.add_panel(panel, tab="Drift")
    return project.id


def _read(file: Path) -> dict[str, str]:
    """Which run is which night's; damaged or gone, nights that are looked at again are kept twice."""
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found
