"""From a snapshot and settings to a registered version, with everything that is needed to make it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from loguru import logger
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, Field

from flows.progress import shown_in_run
from monitoring.reference import reference_parquet
from parking.files import write_whole
from parking.learning.budget import Budget, fitting, last_fit
from parking.learning.evaluate import Scores
from parking.learning.plots import release_plots, scene_sheet
from parking.learning.recipe import Recipe, load_recipe
from parking.learning.release import Release, build_version
from parking.learning.scene_cache import find_snapshot, samples_of
from parking.learning.timing import costs_of
from parking.progress import report
from parking.registry import REFERENCE_FILE, Version
from parking.tracking import Run
from parking.version import code_version
from parking.workdir import until_done
from parking.workspace import open_workspace

__all__ = ["TRAINING", "Trained", "build", "document", "identify", "in_time", "kept", "publish", "register", "train"]

TRAINING = "training"
"""Tag of a version that names the training which registered it."""


class Trained(BaseModel):
    """A new version, and how well it does."""

    version: int
    dataset: str
    fold_scores: tuple[Scores, ...]
    test_scores: Scores


@task(cache_policy=NO_CACHE)
def build(recipe: Recipe, dataset: str, folds: int, workdir: Path, budget: Budget | None = None) -> Release:
    """Cross-validate, train on every training scene, export, score the exported file on the test scenes."""

    def choose_last() -> Recipe:
        return recipe if budget is None else kept(workdir / "last.json", lambda: last_in_time(budget))

    def last_in_time(budget: Budget) -> Recipe:
        return last_fit(recipe, costs_of(dataset, recipe, folds), budget)

    return build_version(
        recipe,
        samples_of(dataset, "train", recipe.gsd),
        samples_of(dataset, "test", recipe.gsd),
        folds=folds,
        dataset_version=dataset,
        workdir=workdir,
        progress=report,
        choose_last=choose_last,
    )


@task(cache_policy=NO_CACHE)
def document(release: Release, run: Run, dataset: str) -> None:
    """Log to the MLflow run what made the version and how good it is: settings, dataset, scores, pictures."""
    run.params(release.recipe.model_dump() | {"dataset_version": dataset, "threshold": release.contract.threshold})
    run.metrics({f"test_{name}": value for name, value in release.test_scores.model_dump().items()})
    tracker = open_workspace().tracker
    for number, scores in enumerate(release.fold_scores):
        with tracker.run(f"fold-{number}", parent=run.id) as child:
            child.metrics(scores.model_dump())
    run.file(release.recipe.model_dump_json(indent=2).encode(), "recipe.json")
    run.file(find_snapshot(dataset).model_dump_json(indent=1).encode(), "dataset.json")
    for name, png in release_plots(release).items():
        run.file(png, name, "plots")


@task(cache_policy=NO_CACHE)
def register(release: Release, run: Run, dataset: str, workdir: Path) -> Version:
    """Put the model into the registry, with the reference that drift will be measured against.

    A training that was killed after that, and is continued, finds its version there.
    """
    registry, training = open_workspace().registry, identify(workdir)
    made = next((version for version in registry.history() if version.tags.get(TRAINING) == training), None)
    if made is not None:
        logger.info("Version {} was registered by this training before it was stopped.", made.number)
        return made
    reference = workdir / REFERENCE_FILE
    reference.write_bytes(reference_parquet(release.predictions, release.contract))
    tags = {"dataset_version": dataset, "code_version": code_version(), "test_iou": f"{release.test_scores.iou:.4f}"}
    extras = {REFERENCE_FILE: reference}
    return registry.register(release.model, run_id=run.id, tags=tags | {TRAINING: training}, extras=extras)


def identify(workdir: Path) -> str:
    """An id of this training, which stays the same however often it is stopped and continued."""
    kept = workdir / "training"
    if not kept.exists():
        write_whole(kept, uuid4().hex.encode())
    return kept.read_text()


@flow
def train(
    dataset: str = "latest",
    recipe: Recipe | str = "default",
    folds: Annotated[int, Field(ge=2, le=20)] = 4,
    minutes: Annotated[float | None, Field(gt=0)] = None,
) -> Trained:
    """Train a model and register it as a new version; it does not serve until it is promoted.

    A training that was stopped, or whose version could not be registered, goes on where it was when it is started
    again.

    Args:
        dataset: version of the snapshot to train on, or `latest`.
        recipe: settings: `default`, `demo`, a file, or all of them in full.
        folds: parts of the training scenes, for honest scores, the threshold and the calibration of the count.
        minutes: time for all of it: folds and the last training, validation, export, pictures and registration. What
            cannot fit is refused before it begins. Empty: as long as the recipe's steps take.
    """
    budget = Budget.of(minutes) if minutes else None
    settings = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    snapshot = find_snapshot(dataset)
    tags = {"dataset_version": snapshot.version, "code_version": code_version()}
    name = f"train-{snapshot.version}-{settings.fingerprint()}-{folds}folds" + ("-in-time" if budget else "")
    with shown_in_run(), until_done(name) as folder, open_workspace().tracker.run("train", tags=tags) as run:
        if budget is not None:
            settings = in_time(settings, budget, snapshot.version, folds, folder)
        release = build(settings, snapshot.version, folds, folder, budget)
        document(release, run, snapshot.version)
        version = register(release, run, snapshot.version, folder)
    publish(release, version)
    return Trained(
        version=version.number,
        dataset=snapshot.version,
        fold_scores=release.fold_scores,
        test_scores=release.test_scores,
    )


def in_time(recipe: Recipe, budget: Budget, dataset: str, folds: int, folder: Path) -> Recipe:
    """The recipe with the steps that fit into the budget; a run that goes on keeps those it began with."""
    return kept(folder / "recipe.json", lambda: fitting(recipe, costs_of(dataset, recipe, folds), budget, folds))


def kept(file: Path, choose: Callable[[], Recipe]) -> Recipe:
    """The recipe in a file; chosen, and written there, where there is none."""
    if not file.exists():
        write_whole(file, choose().model_dump_json(indent=2).encode())
    return load_recipe(str(file))


def publish(release: Release, version: Version) -> None:
    """Show in Prefect how good the new version is, and where its predictions are best and worst."""
    rows = [{"part": f"fold {n}", **scores.model_dump()} for n, scores in enumerate(release.fold_scores)]
    rows.append({"part": "test", **release.test_scores.model_dump()})
    create_table_artifact(key="scores", table=rows, description=f"Version {version.number}.")
    create_markdown_artifact(key="predictions", markdown=scene_sheet(release))
