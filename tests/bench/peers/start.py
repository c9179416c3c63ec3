"""Starts the peers, and says how each is asked."""

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from parking.data.imagery import read_raster
from tests.bench.load import Ask
from tests.bench.servers import Running, serving
from tests.servers import free_ports

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PEERS = ("mlflow-onnx", "mlflow", "bentoml", "litserve")


@contextmanager
def peer(name: str, model: Path, folder: Path) -> Iterator[tuple[Running, "type[Asks]"]]:
    """A peer that serves this model file, and how to ask it."""
    (port,) = free_ports(1)
    # MLflow looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PEER_MODEL": str(model), "PYTHONPATH": str(ROOT), "PATH": path, "BENTOML_DO_NOT_TRACK": "True"}
    command, ready, asks = {"mlflow-onnx": _mlflow_onnx, "mlflow": _mlflow, "bentoml": _bento, "litserve": _lit}[name](
        port, folder, model
    )
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
    """MLflow's scoring protocol, for a model that takes images as text."""

    @classmethod
    def ask(cls, address: str, data: bytes) -> Ask:
        """The body is made once: the caller's work is not measured."""
        body = {"inputs": [base64.b64encode(data).decode()]}
        return lambda client: client.post(f"{address}/invocations", json=body)


class AsksOnnx(Asks):
    """MLflow's scoring protocol, for a model that takes pixels: an image of one tile, decoded by the caller."""

    @classmethod
    def ask(cls, address: str, data: bytes) -> Ask:
        """The body is made once: the caller's work is not measured."""
        body = json.dumps({"inputs": {"tiles": read_raster(data).pixels[None].tolist()}}).encode()
        headers = {"Content-Type": "application/json"}
        return lambda client: client.post(f"{address}/invocations", content=body, headers=headers)


def _mlflow_onnx(port: int, folder: Path, model: Path) -> tuple[list[str], str, type[Asks]]:
    """The flavour that MLflow has for such a file; it answers with the map, as numbers, and finds no places in it."""
    path = folder / "onnx"
    takes = Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3), "tiles")])
    mlflow.onnx.save_model(onnx.load(str(model)), str(path), signature=ModelSignature(takes), pip_requirements=[])
    return _mlflow_command(path, port), "/ping", AsksOnnx


def _mlflow(port: int, folder: Path, model: Path) -> tuple[list[str], str, type[Asks]]:
    path = folder / "pyfunc"
    mlflow.pyfunc.save_model(str(path), python_model=str(HERE / "pyfunc.py"), pip_requirements=[])
    return _mlflow_command(path, port), "/ping", AsksMlflow


def _mlflow_command(path: Path, port: int) -> list[str]:
    command = ["models", "serve", "-m", str(path), "-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"]
    return [sys.executable, "-m", "mlflow", *command]


def _bento(port: int, folder: Path, model: Path) -> tuple[list[str], str, type[Asks]]:
    command = ["serve", "tests.bench.peers.bento:Parking", "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "bentoml", *command], "/readyz", Asks


def _lit(port: int, folder: Path, model: Path) -> tuple[list[str], str, type[Asks]]:
    return [sys.executable, "-m", "tests.bench.peers.lit", str(port)], "/health", AsksLit
