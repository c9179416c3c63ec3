"""Every flow as a deployment, with its schedule: what `parking up` serves and Prefect's UI lists."""

from typing import Any

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.types.entrypoint import EntrypointType

from flows.ingest import ingest
from flows.monitor import monitor
from flows.promote import promote
from flows.retrain import retrain
from flows.train import train
from flows.tune import tune
from parking.logs import configure_logs
from parking.settings import get_settings


def deployments() -> list[RunnerDeployment]:
    """One deployment a flow, named like it."""
    settings = get_settings()
    return [
        deployment(retrain, "learning", cron=settings.retrain_cron),
        deployment(monitor, "monitoring", cron=settings.monitor_cron),
        deployment(ingest, "data"),
        deployment(tune, "learning"),
        deployment(train, "learning"),
        deployment(promote, "registry"),
    ]


def deployment(flow: Flow[..., Any], tag: str, cron: str = "") -> RunnerDeployment:
    """A deployment that one runner at a time works on: two trainings at once would only slow each other."""
    return flow.to_deployment(  # type: ignore[return-value]  # sync outside an event loop
        name=flow.name,
        cron=cron or None,
        tags=["parking", tag],
        concurrency_limit=1,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def main() -> None:
    """Serve the deployments until told to stop."""
    configure_logs(get_settings())
    serve(*deployments(), pause_on_shutdown=False, print_starting_message=False, limit=2)


if __name__ == "__main__":
    main()
