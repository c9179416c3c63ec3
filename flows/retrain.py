"""The whole loop: ingest, tune, train, promote."""

from typing import Annotated

from prefect import flow
from pydantic import BaseModel, Field

from flows.ingest import ingest
from flows.promote import promote as gate
from flows.train import train
from flows.tune import tune
from parking.learning.gate import Verdict

TUNING_SHARE = 0.4


class Retrained(BaseModel):
    """What a retrain made."""

    dataset: str
    version: int
    verdict: Verdict | None


@flow
def retrain(
    data: str = "",
    trials: Annotated[int, Field(ge=0, le=500)] = 4,
    folds: Annotated[int, Field(ge=2, le=20)] = 4,
    minutes: Annotated[float | None, Field(gt=0)] = None,
    promote: bool = True,
    recipe: str = "default",
) -> Retrained:
    """Make a new version from annotated images, and let it serve if it is better than the serving one.

    Args:
        data: folder or s3://bucket/prefix of annotated images, or `generated`. Empty: the setting PARKING_DATA.
        trials: settings to try by cross-validation; 0 keeps the recipe as it is.
        folds: parts that the training scenes are cut into.
        minutes: time for tuning and training together. Empty: as long as the recipe's steps take.
        promote: whether the new version may serve, if it passes the gate.
        recipe: settings to start from: `default`, `demo`, or a file.
    """
    dataset = ingest(data)
    tuning = minutes * TUNING_SHARE if minutes and trials else 0.0
    settings = tune(dataset, trials, folds, tuning or None, recipe) if trials else recipe
    trained = train(dataset, settings, folds, minutes - tuning if minutes else None)
    verdict = gate(trained.version, by="retrain flow") if promote else None
    return Retrained(dataset=dataset, version=trained.version, verdict=verdict)
