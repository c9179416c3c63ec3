"""A run that ended with its platform is told to Prefect: it would hold its deployment's only slot."""

import os
import subprocess
from uuid import UUID

from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed, Running

from flows.abandoned import end_abandoned_runs


@flow
def some_flow() -> None: ...


def started(deployment: bool = True) -> FlowRun:
    """A run as Prefect sees it while somebody works on it."""
    with get_client(sync_client=True) as client:
        if deployment:
            flow_id = client.create_flow(some_flow)
            made = client.create_deployment(flow_id=flow_id, name="some", entrypoint="flows.abandoned:some_flow")
            run = client.create_flow_run_from_deployment(made)
        else:
            run = client.create_flow_run(some_flow)
        client.set_flow_run_state(run.id, Running(), force=True)
    return run


def state_of(run_id: UUID) -> StateType:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    assert state is not None
    return state.type


def test_a_run_whose_process_is_gone_is_crashed_and_no_other() -> None:
    gone, alive, by_hand, done = started(), started(), started(deployment=False), started()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(done.id, Completed(), force=True)
    worker = subprocess.Popen(["sleep", "60"], env={**os.environ, "PREFECT__FLOW_RUN_ID": str(alive.id)})
    try:
        assert end_abandoned_runs() == 1
    finally:
        worker.kill()
        worker.wait()
    assert state_of(gone.id) == StateType.CRASHED
    assert state_of(alive.id) == state_of(by_hand.id) == StateType.RUNNING
    assert state_of(done.id) == StateType.COMPLETED
