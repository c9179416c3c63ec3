"""The best settings by cross-validation: an Optuna study whose trials are tasks."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from loguru import logger
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from pydantic import Field

from flows.progress import shown_in_run
from flows.runner import task_runner
from parking.learning.budget import Budget, final_seconds, searching, stop_in_time, trial_steps
from parking.learning.evaluate import Scores
from parking.learning.recipe import Recipe, load_recipe
from parking.learning.scene_cache import find_snapshot, samples_of
from parking.learning.study import Study, Trial, TrialResult, find_study, open_study
from parking.learning.study_report import PAGE, PICTURE, search_page, search_picture
from parking.learning.timing import costs_of
from parking.learning.tune import run_trial
from parking.progress import report
from parking.settings import get_settings
from parking.version import code_version
from parking.workdir import until_done, workdir
from parking.workspace import open_workspace

__all__ = [
    "Timed",
    "drawn",
    "publish",
    "run_finals",
    "searched",
    "study_name",
    "trials_in_flight",
    "try_recipe",
    "tune",
    "with_steps",
]


@task(cache_policy=NO_CACHE, task_run_name="{kind}-{number}")
def try_recipe(
    study: str,
    number: int,
    recipe: Recipe,
    dataset: str,
    folds: int,
    parent_run: str,
    kind: Literal["trial", "final"] = "trial",
    budget: Budget | None = None,
) -> TrialResult:
    """Cross-validate one recipe, each fold a run under the trial's run in MLflow."""
    tracker = open_workspace().tracker
    samples = samples_of(dataset, "train", recipe.gsd)
    with tracker.run(f"{kind}-{number}", parent=parent_run) as run:
        run.params(recipe.model_dump())

        def keep(fold: int, scores: Scores) -> None:
            with tracker.run(f"fold-{fold}", parent=run.id) as child:
                child.metrics(scores.model_dump())

        known, folder = find_study(get_settings().optuna_url, study), workdir(study)
        goes_on = known.pruning(number) if kind == "trial" else None
        if goes_on is not None and budget is not None:
            goes_on = stop_in_time(goes_on, budget, folds, may_stop=lambda: known.has_best)

        def tell(done: int, total: int, what: str) -> None:
            report(done, total, f"{kind} {number}, {what}")

        result = run_trial(
            Trial(number, recipe), samples, folds, goes_on=goes_on, on_fold=keep, checkpoint_dir=folder, progress=tell
        )
        # Recorded here, not in the flow, which may have ended meanwhile; and before the files are deleted.
        if kind == "trial":
            known.tell(result)
        else:
            known.tell_final(result, recipe.steps)
        for checkpoint in folder.glob(f"{recipe.fingerprint()}-*"):
            checkpoint.unlink(missing_ok=True)
        run.metrics({"iou": result.iou} if result.iou is not None else {})
    return result


@dataclass
class Timed:
    """A search in a budget."""

    budget: Budget
    """Of the trials; the finals have their own time after it."""

    trial_seconds: float
    """That a whole trial takes."""

    def allows_another(self, study: Study) -> bool:
        """Whether one more trial may begin; the first may, for without one no settings can be named."""
        return self.budget.allows(self.trial_seconds) or not study.tried()


def trials_in_flight(
    study: Study, base: Recipe, trials: int, dataset: str, folds: int, run_id: str, timed: Timed | None = None
) -> Iterator[TrialResult]:
    """Keep as many trials running as there are workers, as long as the time does; yield each as it ends."""
    workers, running = get_settings().task_workers, list[PrefectFuture[TrialResult]]()
    started = study.finished
    budget = timed.budget if timed else None
    while running or started < trials:
        while started < trials and len(running) < workers and (timed is None or timed.allows_another(study)):
            trial = study.ask(base)
            running.append(
                try_recipe.submit(study.name, trial.number, trial.recipe, dataset, folds, run_id, budget=budget)
            )
            started += 1
        if not running:
            logger.warning("{} of {} trials were made: the next would not fit into the time.", started, trials)
            return
        done = next(iter(as_completed(running)))
        running.remove(done)
        yield done.result()


def run_finals(study: Study, full: Recipe, finals: int, dataset: str, folds: int, run_id: str) -> None:
    """Run those finals that were not run yet, as many at once as there are workers."""
    finalists = study.finalists(full, finals)
    running = [
        try_recipe.submit(study.name, one.number, one.recipe, dataset, folds, run_id, kind="final") for one in finalists
    ]
    for done, final in enumerate(as_completed(running), 1):
        final.result()
        report(done, len(running), "finals")


@flow(task_runner=task_runner())
def tune(
    dataset: str = "latest",
    trials: Annotated[int, Field(ge=1, le=500)] = 10,
    folds: Annotated[int, Field(ge=2, le=20)] = 4,
    minutes: Annotated[float | None, Field(gt=0)] = None,
    recipe: str = "default",
    finals: Annotated[int, Field(ge=0, le=20)] = 0,
) -> Recipe:
    """Search for the best settings by cross-validation over scenes.

    A study that was killed goes on where it stopped: start the same search again.

    Args:
        dataset: version of the snapshot to tune on, or `latest`.
        trials: how many settings to try in all, those of an earlier, interrupted run included.
        folds: parts that the training scenes are cut into.
        minutes: time for all of it, finals included; fixes the steps of each fold. A trial that would not fit is
            stopped or not begun, and a search that cannot fit is refused before it begins. Empty: a quarter of the
            recipe's own steps.
        recipe: settings to start from: one by name, or a file.
        finals: how many of the best trials are run again for all the recipe's steps, beside the settings that the
            search began with, before the best is named. 0: the best trial is named as it is.
    """
    budget = Budget.of(minutes) if minutes else None
    space, full = open_workspace(), load_recipe(recipe)
    snapshot = find_snapshot(dataset)
    name = study_name(snapshot.version, full, folds)
    tags = {"dataset_version": snapshot.version, "code_version": code_version(), "study": name}
    with shown_in_run(), until_done(name), space.tracker.run("tune", tags=tags) as run:
        study = open_study(get_settings().optuna_url, name, seed=full.seed)
        base, timed = with_steps(study, full, snapshot.version, trials, folds, finals, budget)
        for _ in trials_in_flight(study, base, trials, snapshot.version, folds, run.id, timed):
            report(study.finished, trials, "trials")
        if finals:
            run_finals(study, full, finals, snapshot.version, folds, run.id)
        best = study.best_recipe(full, by_finals=finals > 0)
        run.params(best.model_dump())
        run.metrics({"iou": study.best_score})
        files = drawn(study, snapshot.version, recipe, folds)
        for file, content in files.items():
            run.file(content, file)
    publish(files, study)
    return best


def study_name(dataset: str, recipe: Recipe, folds: int) -> str:
    """Name of the study of a search; the same search started again continues it."""
    return f"tune-{dataset}-{recipe.fingerprint()}-{folds}folds"


def searched(dataset: str, recipe: str, folds: int) -> dict[str, bytes]:
    """A search that was made, as `drawn` shows it; the arguments are those of `tune`."""
    version = find_snapshot(dataset).version
    study = find_study(get_settings().optuna_url, study_name(version, load_recipe(recipe), folds))
    return drawn(study, version, recipe, folds)


def drawn(study: Study, dataset: str, recipe: str, folds: int) -> dict[str, bytes]:
    """A search as a page and its picture, by file name."""
    about = f"Around the recipe `{recipe}`, on the training scenes of the snapshot {dataset} in {folds} folds:"
    page = search_page(study, title="The search for settings", about=about)
    return {PAGE: page.encode(), PICTURE: search_picture(study)}


def publish(files: dict[str, bytes], study: Study) -> None:
    """Show in Prefect what was tried, in this run and in those that it goes on from."""
    rows = [{"trial": one.number, "state": one.outcome, "iou": one.iou} for one in study.tried()]
    create_table_artifact(
        key="trials", table=rows, description=f"Best IoU over folds: {study.best_score:.3f} ({study.name})."
    )
    inline = f"data:image/png;base64,{base64.b64encode(files[PICTURE]).decode('ascii')}"
    create_markdown_artifact(key="search", markdown=files[PAGE].decode().replace(PICTURE, inline))


def with_steps(
    study: Study, full: Recipe, dataset: str, trials: int, folds: int, finals: int, budget: Budget | None
) -> tuple[Recipe, Timed | None]:
    """The recipe with the steps of a fold of a trial, which the study's first run fixed, so that all compare."""
    if budget is None:
        return study.fix_steps(full, study.steps or max(1, full.steps // 4)), None
    costs = costs_of(dataset, full, folds)
    if study.steps:
        logger.info("The search goes on with {} steps a fold, as it began.", study.steps)
    base = study.fix_steps(full, study.steps or trial_steps(full, costs, budget, trials, folds, finals))
    if not study.tried():
        budget.check(costs.trial(base.steps, folds), searching(1, folds))
    return base, Timed(budget.without(final_seconds(full, costs, folds, finals)), costs.trial(base.steps, folds))
