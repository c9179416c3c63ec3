"""Starts the peers, and says how each is asked."""

import base64
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow

from tests.bench.load import Ask
from tests.bench.servers import Running, serving
from tests.servers import free_ports

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PEERS = ("mlflow", "bentoml", "litserve")


@contextmanager
def peer(name: str, model: Path, folder: Path) -> Iterator[tuple[Running, "type[Asks]"]]:
    """A peer that serves this model file, and how to ask it."""
    (port,) = free_ports(1)
    # MLflow looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PEER_MODEL": str(model), "PYTHONPATH": str(ROOT), "PATH": path, "BENTOML_DO_NOT_TRACK": "True"}
    command, ready, asks = {"mlflow": _mlflow, "bentoml": _bento, "litserve": _lit}[name](port, folder)
    with serving(command, port, ready, folder / f"{name}.log", env) as running:
        yield running, asks


class Asks:
    """How a server is asked."""

    path = "/predict"
    field = "file"

    @classmethod
    def ask(cls, address: str, data: bytes) -> Ask:
        """One request with an image."""
        return lambda client: client.post(address + cls.path, files={cls.field: ("image", data)})


class AsksLit(Asks):
    """LitServe calls the field `request`."""

    field = "request"


class AsksMlflow(Asks):
    """MLflow's scoring protocol."""

    @classmethod
    def ask(cls, address: str, data: bytes) -> Ask:
        """The body is made once: the caller's work is not measured."""
        body = {"inputs": [base64.b64encode(data).decode()]}
        return lambda client: client.post(f"{address}/invocations", json=body)


def _mlflow(port: int, folder: Path) -> tuple[list[str], str, type[Asks]]:
    path = folder / "pyfunc"
    mlflow.pyfunc.save_model(str(path), python_model=str(HERE / "pyfunc.py"), pip_requirements=[])
    command = ["models", "serve", "-m", str(path), "-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"]
    return [sys.executable, "-m", "mlflow", *command], "/ping", AsksMlflow


def _bento(port: int, folder: Path) -> tuple[list[str], str, type[Asks]]:
    command = ["serve", "tests.bench.peers.bento:Parking", "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "bentoml", *command], "/readyz", Asks


def _lit(port: int, folder: Path) -> tuple[list[str], str, type[Asks]]:
    return [sys.executable, "-m", "tests.bench.peers.lit", str(port)], "/health", AsksLit
