"""Runs that were killed together with their platform, and that Prefect still takes for running."""

from typing import Any
from uuid import UUID

import psutil
from loguru import logger
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_NEWEST, _MOST = FlowRunSort.EXPECTED_START_TIME_DESC, 200
_RUN_ID = "PREFECT__FLOW_RUN_ID"
"""Variable by which Prefect's runner tells a process which run it is."""


def end_abandoned_runs() -> int:
    """Mark such runs of deployments as crashed in Prefect: each would go on holding its deployment's only slot.

    Only where no other runner works for the same Prefect server, on this machine or on another.

    Returns:
        How many there were.
    """
    alive = _runs_on_this_machine()
    filtered = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)),
    )
    with get_client(sync_client=True) as client:
        under_way = client.read_flow_runs(flow_run_filter=filtered, sort=_NEWEST, limit=_MOST)
        abandoned = [run for run in under_way if str(run.id) not in alive]
        for run in abandoned:
            state: State[Any] = Crashed(message="Its platform was killed. Run it again: it goes on from what is kept.")
            client.set_flow_run_state(UUID(str(run.id)), state, force=True)
            logger.warning("Run {} ended with its platform, and is marked as crashed. Run it again.", run.name)
    return len(abandoned)


def _runs_on_this_machine() -> set[str]:
    found = set()
    for process in psutil.process_iter():
        try:
            found.add(process.environ().get(_RUN_ID, ""))
        except (psutil.Error, OSError):
            # Another user's, or gone meanwhile.
            continue
    return found
