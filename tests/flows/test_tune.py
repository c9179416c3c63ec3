"""Tuning: trials as tasks of a study that outlives its process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState
from prefect.settings import PREFECT_API_URL

from flows.tune import searched, study_name, tune
from parking.errors import FolderError, TrainingError
from parking.learning.recipe import load_recipe
from parking.learning.study import find_study, open_study
from parking.learning.timing import Costs
from parking.lock import alone_in
from parking.workdir import workdir
from parking.workspace import Workspace


def trials(space: Workspace, name: str) -> list[FrozenTrial]:
    """Trials of the only study whose name contains this."""
    if not (space.settings.state_dir / "studies.db").exists():
        return []
    names = [found for found in optuna.get_all_study_names(space.settings.optuna_url) if name in found]
    return optuna.load_study(study_name=names[0], storage=space.settings.optuna_url).get_trials() if names else []


def finished(space: Workspace, name: str) -> int:
    return sum(trial.state.is_finished() for trial in trials(space, name))


def kept_files(space: Workspace) -> set[str]:
    """Names of the files that the newest run of a search keeps in MLflow."""
    client = MlflowClient(space.settings.tracking_uri)
    experiment = client.get_experiment_by_name(space.settings.model_name)
    assert experiment is not None
    (run, *_) = client.search_runs([experiment.experiment_id], "run_name = 'tune'", order_by=["start_time DESC"])
    return {file.path for file in client.list_artifacts(run.info.run_id)}


def test_a_second_run_goes_on_where_the_first_stopped(space: Workspace, dataset: str, recipe: str) -> None:
    tune(dataset, trials=1, folds=2, recipe=recipe)
    (first,) = trials(space, "2folds")
    best = tune(dataset, trials=2, folds=2, recipe=recipe)
    kept, second = trials(space, "2folds")
    assert kept.params == first.params
    better = max((kept, second), key=lambda trial: trial.value if trial.value is not None else -1.0)
    assert best.learning_rate == pytest.approx(better.params["learning_rate"])
    assert best.steps == load_recipe(recipe).steps
    assert kept_files(space) == {"search.md", "search.png"}


def test_the_best_trials_run_again_at_full_length_before_one_is_named(
    space: Workspace, dataset: str, recipe: str
) -> None:
    best = tune(dataset, trials=2, folds=3, recipe=recipe, finals=1)
    study = find_study(space.settings.optuna_url, study_name(dataset, load_recipe(recipe), 3))
    finals = study.finals()
    assert 0 in {final.number for final in finals}
    assert {(final.steps, len(final.fold_ious)) for final in finals} == {(load_recipe(recipe).steps, 3)}
    winner = next(one for one in study.tried() if one.number == finals[0].number)
    assert best.learning_rate == pytest.approx(winner.params["learning_rate"])
    assert "full length" in searched(dataset, recipe, 3)["search.md"].decode()


def test_another_recipe_of_the_same_file_name_is_another_study(
    space: Workspace, dataset: str, recipe: str, tmp_path: Path
) -> None:
    other = tmp_path / Path(recipe).name
    other.write_text(load_recipe(recipe).model_copy(update={"clip": 0.5}).model_dump_json())
    before = len(optuna.get_all_study_names(space.settings.optuna_url))
    tune(dataset, trials=1, folds=2, recipe=str(other))
    assert len(optuna.get_all_study_names(space.settings.optuna_url)) == before + 1


def test_a_search_beside_the_same_one_is_refused_and_takes_nothing_from_it(
    space: Workspace, dataset: str, recipe: str
) -> None:
    base = load_recipe(recipe)
    name = study_name(dataset, base, 5)
    open_study(space.settings.optuna_url, name).ask(base)
    with alone_in(workdir(name)), pytest.raises(FolderError, match="same work is under way"):
        tune(dataset, trials=1, folds=5, recipe=recipe)
    assert [trial.state for trial in trials(space, "5folds")] == [TrialState.RUNNING]


def test_trials_that_would_not_fit_into_the_time_are_not_begun_and_the_best_so_far_is_named(
    space: Workspace, dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.tune.costs_of", lambda *_: Costs(step=5.0, folds=1.0, rules=0.0, test=0.0))
    monkeypatch.setattr("flows.tune.Timed.allows_another", lambda timed, study: len(study.tried()) < 1)
    best = tune(dataset, trials=3, folds=6, minutes=10, recipe=recipe)
    (only,) = trials(space, "6folds")
    assert best.learning_rate == pytest.approx(only.params["learning_rate"])


def test_a_search_that_cannot_fit_into_its_time_is_refused_before_a_trial(
    space: Workspace, dataset: str, recipe: str
) -> None:
    with pytest.raises(TrainingError, match=r"0\.01 minutes are too few for 2 trials in 7 folds"):
        tune(dataset, trials=2, folds=7, minutes=0.01, recipe=recipe)
    assert not trials(space, "7folds")


def start(space: Workspace, dataset: str, recipe: str, out: Path, *words: str, **env: str) -> "subprocess.Popen[str]":
    """`parking tune` in a process of its own, on the Prefect server of these tests."""
    command = [sys.executable, "-m", "cli.app", "tune", "--dataset", dataset, "--recipe", recipe, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--state", str(space.settings.state_dir), *words],
        env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.e2e
@pytest.mark.timeout(2400)
def test_killed_it_goes_on_where_it_stopped_and_on_dask_if_that_is_set(
    space: Workspace, dataset: str, recipe: str, tmp_path: Path
) -> None:
    words = ("--trials", "2", "--folds", "4")
    killed = start(space, dataset, recipe, tmp_path / "best.json", *words)
    while not finished(space, "4folds"):
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = trials(space, "4folds")
    assert finished(space, "4folds") == 1
    more = ("--report", str(tmp_path / "report"))
    again = start(space, dataset, recipe, tmp_path / "best.json", *words, *more, PARKING_TASK_RUNNER="dask")
    output, _ = again.communicate(timeout=1800)
    assert again.returncode == 0, output
    after = trials(space, "4folds")
    assert (after[0].params, after[0].datetime_complete) == (before[0].params, before[0].datetime_complete)
    assert len(after) == 2 + len([trial for trial in before if not trial.state.is_finished()])
    assert after[-1].value is not None
    assert load_recipe(str(tmp_path / "best.json"))
    page = (tmp_path / "report" / "search.md").read_text()
    assert f"on the training scenes of the snapshot {dataset} in 4 folds" in page
    assert (tmp_path / "report" / "search.png").read_bytes().startswith(b"\x89PNG")
