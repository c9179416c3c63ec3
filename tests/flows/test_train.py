"""The training flow: a registered version with everything that made it, and a training that can be stopped."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.train import build, train
from monitoring.schema import table_from_parquet
from parking.errors import FolderError, RegistryError, TrainingError
from parking.learning.budget import Budget
from parking.learning.recipe import Recipe, load_recipe
from parking.learning.release import Release
from parking.learning.timing import Costs
from parking.registry import REFERENCE_FILE, Registry, Version
from parking.settings import get_settings
from parking.workdir import until_done
from parking.workspace import Workspace


def unfinished(space: Workspace) -> list[Path]:
    return list((space.settings.state_dir / "work").glob("train-*"))


def test_a_version_is_registered_with_what_made_it_and_does_not_serve(
    space: Workspace, dataset: str, recipe: str, tmp_path: Path
) -> None:
    trained = train(dataset, recipe, folds=2)
    version = space.registry.resolve(str(trained.version))
    assert version.aliases == ()
    assert version.tags["dataset_version"] == dataset == trained.dataset
    assert version.tags["code_version"]
    assert len(trained.fold_scores) == 2
    assert trained.test_scores.scenes > 0
    for name, content in (("recipe.json", load_recipe(recipe).model_dump(mode="json")), ("dataset.json", None)):
        (found,) = get_settings().artifact_dir.rglob(f"{version.run_id}/**/{name}")
        assert content is None or json.loads(found.read_text()) == content
    assert list(get_settings().artifact_dir.rglob(f"{version.run_id}/**/plots/*.png"))
    reference = space.registry.fetch_extra(version, REFERENCE_FILE, tmp_path)
    assert reference is not None
    assert table_from_parquet(reference.read_bytes()).num_rows > 0
    assert not unfinished(space)


def test_a_training_whose_version_could_not_be_registered_is_not_lost(
    space: Workspace, dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Version:
        raise RegistryError("MLflow is away.")

    steps: list[str] = []
    monkeypatch.setattr("flows.train.report", lambda done, total, what: steps.append(what))
    with monkeypatch.context() as away:
        away.setattr(Registry, "register", refuse)
        with pytest.raises(RegistryError, match="away"):
            train(dataset, recipe, folds=3)
    assert any("training" in what for what in steps)
    assert unfinished(space)
    steps.clear()
    assert train(dataset, recipe, folds=3).version
    assert not any("training, loss" in what for what in steps), "what was trained is trained again"
    assert not unfinished(space)


def test_a_training_killed_after_it_registered_finds_its_version(
    space: Workspace, dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """The process ends here."""

    through = Registry.register

    def register_and_end(*words: Any, **named: Any) -> Version:
        through(*words, **named)
        raise KilledError

    with monkeypatch.context() as killed:
        killed.setattr(Registry, "register", register_and_end)
        with pytest.raises(KilledError):
            train(dataset, recipe, folds=2)
    made = space.registry.history()[0].number
    assert train(dataset, recipe, folds=2).version == made
    assert space.registry.history()[0].number == made
    assert train(dataset, recipe, folds=2).version == made + 1, "another training is another version"


def test_the_same_training_twice_at_once_is_refused_and_spoils_nothing(
    space: Workspace, dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def twice(name: str) -> None:
        with pytest.raises(FolderError, match="is under way") as error, until_done(name):
            pytest.fail("two in one folder")
        refused.append(str(error.value))

    def build_and_try_again(recipe: Recipe, dataset: str, folds: int, folder: Path, *more: Any) -> Release:
        twice(folder.name)
        return build(recipe, dataset, folds, folder, *more)

    monkeypatch.setattr("flows.train.build", build_and_try_again)
    assert train(dataset, recipe, folds=2).version
    assert str(os.getpid()) in refused[0]
    assert not list((space.settings.state_dir / "work").iterdir())


def test_a_training_that_goes_on_keeps_the_steps_it_chose_for_its_time(
    dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flows.train import in_time

    costs = Costs(step=0.5, folds=0.0, rules=0.0, test=0.0)
    monkeypatch.setattr("flows.train.costs_of", lambda *_: costs)
    first = in_time(load_recipe(recipe), Budget.of(1.5, clock=lambda: 0.0), dataset, 2, tmp_path)
    monkeypatch.setattr("flows.train.costs_of", lambda *_: replace(costs, step=0.1))
    assert in_time(load_recipe(recipe), Budget.of(1.5, clock=lambda: 0.0), dataset, 2, tmp_path) == first
    assert first.steps == 40


def test_minutes_that_cannot_do_are_refused_before_anything_is_trained(
    dataset: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.train.build", lambda *_: pytest.fail("it is trained"))
    with pytest.raises(TrainingError, match=r"0\.01 minutes are too few for a training in 2 folds .* at least"):
        train(dataset, recipe, folds=2, minutes=0.01)


def test_a_recipe_that_is_not_there_is_a_sentence(dataset: str) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.json"):
        train(dataset, "nowhere.json")
