"""The whole loop: ingest, tune, train, promote."""

from typing import Annotated

from loguru import logger
from prefect import flow
from pydantic import BaseModel, Field

from flows.ingest import ingest
from flows.promote import ended_without_promotion, publish
from flows.promote import promote as gate
from flows.train import Trained, train
from flows.tune import tune
from parking.learning.budget import Budget, checked_before, gate_seconds, tuning_minutes
from parking.learning.gate import Verdict
from parking.learning.recipe import load_recipe
from parking.learning.timing import costs_of
from parking.version import code_version
from parking.workspace import open_workspace

__all__ = ["Retrained", "learn", "made_of", "retrain"]


class Retrained(BaseModel):
    """What a retrain made."""

    dataset: str
    version: int
    """That was made; the newest there was, where nothing was new."""

    verdict: Verdict | None


def made_of(dataset: str) -> int | None:
    """The newest version, if it was made of this snapshot by this code."""
    newest = next(iter(open_workspace().registry.history()), None)
    same = {"dataset_version": dataset, "code_version": code_version()}
    return newest.number if newest is not None and same.items() <= newest.tags.items() else None


@flow
def retrain(
    data: str = "",
    trials: Annotated[int, Field(ge=0, le=500)] = 4,
    folds: Annotated[int, Field(ge=2, le=20)] = 4,
    minutes: Annotated[float | None, Field(gt=0)] = None,
    promote: bool = True,
    recipe: str = "default",
    only_new: bool = False,
    labels: str = "",
    group_by: str = "",
) -> Retrained:
    """Make a new version from annotated images, and let it serve if it is better than the serving one.

    Args:
        data: folder or s3://bucket/prefix of annotated images, several separated by `;`, or `generated`. Empty: the
            setting PARKING_DATA.
        trials: settings to try by cross-validation; 0 keeps the recipe as it is.
        folds: parts that the training scenes are cut into.
        minutes: time for all of it, from reading the images to the gate. What cannot fit is refused before the search
            begins. Empty: as long as the recipe's steps take.
        promote: whether the new version may serve, if it passes the gate.
        recipe: settings to start from: `default`, `demo`, or a file.
        only_new: end at once where the newest version was made of the same annotated images by the same code, as the
            weekly run does: it would be made again, and undo a rollback.
        labels: what labels mean, as `pkw=vehicle,bucht=stall`. Empty: the setting PARKING_LABELS.
        group_by: regular expression that finds in an image's path the place that it shows. Empty: the setting
            PARKING_GROUP_BY.
    """
    budget = Budget.of(minutes) if minutes else None
    dataset = ingest(data, labels=labels, group_by=group_by)
    newest = made_of(dataset) if only_new else None
    if newest is not None:
        logger.info("Nothing is new since version {}: it was made of the dataset {}.", newest, dataset)
        return Retrained(dataset=dataset, version=newest, verdict=None)
    trained = learn(dataset, recipe, trials, folds, budget, gated=promote)
    verdict = gate(trained.version, by="retrain flow") if promote else None
    made = Retrained(dataset=dataset, version=trained.version, verdict=verdict)
    if verdict is None:
        return made
    publish(trained.version, verdict, promoted=verdict.promote)
    return made if verdict.promote else ended_without_promotion(made, verdict.reason)


def learn(dataset: str, recipe: str, trials: int, folds: int, budget: Budget | None, *, gated: bool) -> Trained:
    """Search and train, in what the budget leaves beside the gate."""
    if budget is None:
        return train(dataset, tune(dataset, trials, folds, None, recipe) if trials else recipe, folds)
    costs = costs_of(dataset, load_recipe(recipe), folds)
    searching = tuning_minutes(load_recipe(recipe), costs, budget, trials, folds, gate=gated)
    with checked_before():
        settings = tune(dataset, trials, folds, searching, recipe) if trials else recipe
        left = max(1.0, budget.left - gate_seconds(costs) * gated)
        return train(dataset, settings, folds, left / 60)
