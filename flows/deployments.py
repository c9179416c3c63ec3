"""Every flow as a deployment, with its schedule: what `parking flows` serves and Prefect's UI lists."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loguru import logger
from prefect import get_client, serve
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import Flow
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.abandoned import end_abandoned_runs
from flows.ingest import ingest
from flows.monitor import DRIFT_EVENT, monitor
from flows.promote import promote
from flows.retrain import retrain
from flows.survey import survey
from flows.train import train
from flows.tune import tune
from parking.errors import PlatformError
from parking.logs import configure_logs
from parking.settings import GENERATED, Settings, get_settings

__all__ = [
    "ONLY_RUNNER",
    "after_drift",
    "deployment",
    "deployments",
    "main",
    "read_template",
    "register",
    "schedule_of_retrain",
]


def deployments() -> list[RunnerDeployment]:
    """One deployment a flow, named like it."""
    settings = get_settings()
    return [
        deployment(retrain, "learning", schedule_of_retrain(settings), after_drift(settings), {"only_new": True}),
        deployment(monitor, "monitoring", settings.monitor_cron),
        deployment(ingest, "data"),
        deployment(tune, "learning"),
        deployment(train, "learning"),
        deployment(promote, "registry"),
        deployment(survey, "survey"),
    ]


def schedule_of_retrain(settings: Settings) -> str:
    """The cron of the retrain; empty where there is nothing but drawn scenes to learn from.

    A version that learnt from these, and is measured on them, would take the place of one that knows real images.
    """
    if settings.data == GENERATED and settings.retrain_cron:
        logger.info("No retrain is scheduled: there are only generated scenes to learn from. Set PARKING_DATA.")
        return ""
    return settings.retrain_cron


def after_drift(settings: Settings) -> list[DeploymentEventTrigger]:
    """What starts a retrain besides its schedule and a click: drift of the serving version, where the settings say so.

    The flow says in the event whether a retrain is due. The trigger's own cooldown covers the time until one has ended.
    """
    if not settings.retrain_on_drift or settings.data == GENERATED:
        return []
    return [
        DeploymentEventTrigger(
            name="retrain on drift",
            expect={DRIFT_EVENT},
            match={"prefect.resource.id": "parking.model.*", "parking.retrain": "due"},
            within=timedelta(days=settings.retrain_cooldown_days),
        )
    ]


def deployment(
    flow: Flow[..., Any],
    tag: str,
    cron: str = "",
    triggers: Sequence[DeploymentEventTrigger] = (),
    by_schedule: Mapping[str, Any] = MappingProxyType({}),
) -> RunnerDeployment:
    """A deployment that one runner at a time works on: two trainings at once would only slow each other.

    Args:
        flow: that it runs.
        tag: what it is about.
        cron: when it runs by itself; empty for never.
        triggers: events that start it.
        by_schedule: parameters of the runs that the schedule starts, where they differ.
    """
    return flow.to_deployment(  # type: ignore[return-value]  # sync outside an event loop
        name=flow.name,
        schedule=Cron(cron, parameters=dict(by_schedule)) if cron else None,
        triggers=list(triggers),
        tags=["parking", tag],
        concurrency_limit=1,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def register(pool: str, job_template: Path) -> None:
    """Hand the deployments to a work pool of Kubernetes, whose worker runs each in a Job; an old pool is updated.

    Args:
        pool: its name.
        job_template: JSON file with the pool's base job template, as Prefect has it.

    Raises:
        PlatformError: the file cannot be read, or is no such template.
    """
    work_pool = WorkPoolCreate(name=pool, type="kubernetes", base_job_template=read_template(job_template))
    with get_client(sync_client=True) as client:
        client.create_work_pool(work_pool, overwrite=True)
    for made in deployments():
        made.apply(work_pool_name=pool)
    logger.info("The flows are registered with the work pool {}", pool)


def read_template(file: Path) -> dict[str, Any]:
    """A base job template; whether its parts fit together, Prefect says when it is used."""
    try:
        template = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"The job template {file} cannot be read ({error}): give the JSON of a work pool."
        ) from error
    if not isinstance(template, dict) or not {"job_configuration", "variables"} <= set(template):
        raise PlatformError(
            f"{file} is no job template: it lacks `job_configuration` or `variables`. "
            "`prefect work-pool get-default-base-job-template --type kubernetes` prints one."
        )
    return template


ONLY_RUNNER = "--only-runner"
"""Says that no other runner works for this Prefect server, as with `parking up`."""


def main(*arguments: str) -> None:
    """Serve the deployments until a signal stops the process.

    Args:
        arguments: `ONLY_RUNNER`, or nothing.
    """
    configure_logs(get_settings())
    if ONLY_RUNNER in arguments:
        end_abandoned_runs()
    serve(*deployments(), pause_on_shutdown=False, print_starting_message=False, limit=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
