"""What a user asks of running servers: a prediction, or a flow by Prefect's Run button."""

import io
from typing import Any, Protocol

import httpx
import numpy as np
from PIL import Image

from tests.e2e.waiting import wait_until


class Running(Protocol):
    """Where the servers answer."""

    @property
    def prefect(self) -> str:
        """Prefect's API."""

    @property
    def service(self) -> str:
        """The prediction service."""


def png(side: int = 128) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 120, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def predict(running: Running) -> dict[str, Any]:
    answer = httpx.post(f"{running.service}/predict", files={"file": ("a.png", png())}, timeout=60)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def deployment(running: Running, name: str) -> dict[str, Any]:
    answer = httpx.get(f"{running.prefect}/deployments/name/{name}/{name}", timeout=30)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def run_deployment(running: Running, name: str, **parameters: object) -> dict[str, Any]:
    """What the Run button of Prefect's UI does: create a flow run of the deployment, and wait for its end."""
    url = f"{running.prefect}/deployments/{deployment(running, name)['id']}/create_flow_run"
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    run = httpx.post(url, json=body, timeout=30).json()
    state: dict[str, Any] = {}

    def ended() -> bool:
        nonlocal state
        state = httpx.get(f"{running.prefect}/flow_runs/{run['id']}", timeout=30).json()["state"]
        return state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    wait_until(ended, 600, f"the flow run of {name}")
    return state
