"""Where tasks of a flow run: threads of this process, or a Dask cluster."""

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from parking.settings import get_settings


def task_runner() -> TaskRunner[Any]:
    """The runner that the settings name: `PARKING_TASK_RUNNER`, `PARKING_TASK_WORKERS`, `PARKING_DASK_ADDRESS`."""
    settings = get_settings()
    if settings.task_runner == "threads":
        return ThreadPoolTaskRunner(max_workers=settings.task_workers)
    from prefect_dask.task_runners import DaskTaskRunner

    if settings.dask_address:
        return DaskTaskRunner(address=settings.dask_address)
    cluster = {"n_workers": settings.task_workers, "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=cluster)
