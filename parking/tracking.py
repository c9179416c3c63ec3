"""Runs in MLflow: what was tried, with which settings, and how well it did."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from parking.errors import RegistryError
from parking.mlflow_client import mlflow_client
from parking.version import code_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Run", "Tracker"]

_LONGEST_VALUE = 6000
"""Characters of a parameter that MLflow keeps; longer ones it refuses."""


class Tracker:
    """Opens runs in one experiment.

    Runs are addressed by their ids, never by MLflow's "active run", so threads and nested runs cannot mix.
    """

    def __init__(self, tracking_uri: str, experiment: str, artifact_dir: Path) -> None:
        """Nothing is contacted until the first run.

        Args:
            tracking_uri: MLflow's address.
            experiment: its name; made when there is none.
            artifact_dir: where files go when `tracking_uri` is a database; a server decides that itself.
        """
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.artifact_dir = artifact_dir

    @contextmanager
    def run(self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> Iterator["Run"]:
        """A run that ends with the block: FINISHED, FAILED when the block raises, KILLED when it is interrupted.

        Args:
            name: for people.
            parent: id of the run that this one belongs under.
            tags: further tags.

        Raises:
            RegistryError: MLflow cannot be reached, or refused.
        """
        run = self._start(name, parent, tags or {})
        try:
            yield run
        except BaseException as error:
            _end_quietly(run, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        run.end("FINISHED")

    def _start(self, name: str, parent: str | None, tags: Mapping[str, str]) -> "Run":
        code = {"code_version": code_version(), "mlflow.source.name": "parking"}
        under = {"mlflow.parentRunId": parent} if parent else {}
        with mlflow_client(self.tracking_uri) as client:
            made = client.create_run(self._experiment(client), run_name=name, tags={**code, **under, **tags})
        return Run(made.info.run_id, self.tracking_uri)

    def _experiment(self, client: "MlflowClient") -> str:
        """Id of the experiment; another process may create it in between."""
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        served = self.tracking_uri.startswith(("http://", "https://"))
        location = None if served else (self.artifact_dir.resolve() / self.experiment).as_uri()
        try:
            return str(client.create_experiment(self.experiment, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self._experiment(client)


@dataclass(frozen=True)
class Run:
    """One attempt, and what it leaves behind. Safe to use from any thread, and to send to another process."""

    id: str
    tracking_uri: str

    def params(self, values: Mapping[str, Any]) -> None:
        """Records settings; MLflow lets each be set once."""
        from mlflow.entities import Param

        entries = [Param(key, str(value)[:_LONGEST_VALUE]) for key, value in values.items()]
        with mlflow_client(self.tracking_uri) as client:
            client.log_batch(self.id, params=entries)

    def metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Records numbers, at a step of training where there is one; what was not measured is left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step or 0) for key, value in values.items() if value is not None]
        with mlflow_client(self.tracking_uri) as client:
            client.log_batch(self.id, metrics=entries)

    def file(self, content: Path | bytes, name: str = "", folder: str = "") -> None:
        """Keeps a file.

        Args:
            content: a file, or the bytes of one.
            name: its name; a path's own by default.
            folder: where among the run's artifacts.
        """
        named = name or (content.name if isinstance(content, Path) else "")
        with tempfile.TemporaryDirectory() as scratch, mlflow_client(self.tracking_uri) as client:
            local = Path(scratch) / named
            local.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
            client.log_artifact(self.id, str(local), folder or None)

    def end(self, status: str) -> None:
        """Ends the run, as FINISHED, FAILED or KILLED."""
        with mlflow_client(self.tracking_uri) as client:
            client.set_terminated(self.id, status)


def _end_quietly(run: Run, status: str) -> None:
    """Ends a run that has failed already: MLflow's own trouble may not hide the reason."""
    try:
        run.end(status)
    except RegistryError as error:
        logger.warning("Run {} stays open. {}", run.id, error)
