"""Inference runtimes: ONNX Runtime, or OpenVINO if it is chosen."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from parking.detection.onnx_model import Sessions, Signature
from parking.errors import SettingsError

__all__ = ["Model", "Runtime", "check_runtime", "open_model"]

Runtime = Literal["onnxruntime", "openvino"]


class Model(Protocol):
    """An opened model file. Safe to use from several threads."""

    metadata: dict[str, str]
    """Metadata of the file, by key."""

    signature: Signature

    tolerance: float
    """Largest difference of its answer to the golden tile from that of the export, see `golden`."""

    def run(self, outputs: list[str], tiles: NDArray[np.uint8]) -> list[Any]:
        """Arrays of these outputs."""

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Run once, so that no request is slowed by the first run."""


def check_runtime(runtime: Runtime) -> None:
    """Check early that a runtime is installed.

    Raises:
        SettingsError: it is not installed.
    """
    if find_spec(runtime) is None:
        raise SettingsError(
            f"PARKING_RUNTIME='{runtime}' cannot work, for the package {runtime} is not installed: add it "
            f"(`uv sync --group {runtime}`), or leave PARKING_RUNTIME at onnxruntime."
        )


def open_model(path: Path, *, runtime: Runtime = "onnxruntime", threads: int = 0, at_once: int = 1) -> Model:
    """Open a model file.

    Args:
        path: an ONNX file.
        runtime: `onnxruntime` or `openvino`.
        threads: CPU threads of all runs together; 0 for all cores.
        at_once: parallel runs, which share the threads.

    Raises:
        ModelError: the file is missing, or not a model that the runtime can read.
        SettingsError: the runtime is not installed.
    """
    if runtime == "onnxruntime":
        return Sessions(path, threads=threads, at_once=at_once)
    check_runtime(runtime)
    # Imported late: the package is optional.
    from parking.detection.openvino_model import OpenVinoModel

    return OpenVinoModel(path, threads=threads, at_once=at_once)
