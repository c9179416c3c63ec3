"""Runs in MLflow: nested, from threads, and honest about how they ended."""

import pickle
import threading
from pathlib import Path

import mlflow
import pytest

from parking.errors import RegistryError
from parking.tracking import Run, Tracker
from parking.version import code_version

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    folder = tmp_path_factory.mktemp("tracking")
    return Tracker(f"sqlite:///{folder}/mlflow.db", "parking", folder / "artifacts")


def stored(run: Run) -> mlflow.entities.Run:
    return mlflow.MlflowClient(run.tracking_uri).get_run(run.id)


def test_a_run_keeps_settings_numbers_and_files(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(b"png")
    with tracker.run("train", tags={"dataset_version": "abc"}) as run:
        run.params({"learning_rate": 1e-3, "long": "x" * 10_000})
        run.metrics({"loss": 0.5}, step=1)
        run.metrics({"loss": 0.25, "not measured": None}, step=2)
        run.file(b"{}", "recipe.json")
        run.file(tmp_path / "plot.png", folder="plots")
    kept = stored(run)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "train"
    assert kept.data.params["learning_rate"] == "0.001"
    assert kept.data.metrics["loss"] == 0.25
    assert kept.data.tags["dataset_version"] == "abc"
    assert kept.data.tags["code_version"] == code_version()
    files = {file.name: file.read_bytes() for file in tracker.artifact_dir.rglob("*") if file.is_file()}
    assert files == {"recipe.json": b"{}", "plot.png": b"png"}


def test_a_run_that_raises_is_failed(tracker: Tracker) -> None:
    with pytest.raises(ValueError, match="NaN"), tracker.run("train") as run:
        raise ValueError("NaN")
    assert stored(run).info.status == "FAILED"


def test_a_run_that_is_interrupted_is_killed(tracker: Tracker) -> None:
    with pytest.raises(KeyboardInterrupt), tracker.run("train") as run:
        raise KeyboardInterrupt
    assert stored(run).info.status == "KILLED"


def test_runs_nest_by_id_even_from_other_threads(tracker: Tracker) -> None:
    children: list[Run] = []

    def fold(number: int, parent: str) -> None:
        with tracker.run(f"fold-{number}", parent=parent) as child:
            child.metrics({"iou": float(number)})
            children.append(child)

    with tracker.run("first") as first, tracker.run("second") as second:
        threads = [threading.Thread(target=fold, args=(n, (first, second)[n % 2].id)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = {(stored(c).data.tags["mlflow.parentRunId"], stored(c).data.metrics["iou"]) for c in children}
    assert found == {((first, second)[n % 2].id, float(n)) for n in range(6)}


def test_a_run_travels_to_another_process(tracker: Tracker) -> None:
    with tracker.run("trial") as run:
        pickle.loads(pickle.dumps(run)).metrics({"iou": 0.5})
        pickle.loads(pickle.dumps(tracker))
    assert stored(run).data.metrics["iou"] == 0.5


def test_mlflow_failing_does_not_hide_why_a_run_failed(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RegistryError("gone")

    monkeypatch.setattr(Run, "end", broken)
    with pytest.raises(ValueError, match="the reason"), tracker.run("train"):
        raise ValueError("the reason")


def test_without_mlflow_a_run_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be used"), Tracker("http://127.0.0.1:9", "x", tmp_path).run("a"):
        pytest.fail("the run started")
