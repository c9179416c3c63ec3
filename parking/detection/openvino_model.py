"""A model file in OpenVINO, which computes in bfloat16 on CPUs that support it, about twice as fast."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import openvino  # type: ignore[import-untyped]
from numpy.typing import NDArray

from parking.detection.onnx_model import Signature
from parking.errors import ModelError

__all__ = ["OpenVinoModel"]

_TYPES = {"u8": "tensor(uint8)", "f32": "tensor(float)"}


class OpenVinoModel:
    """One model for several runs at once, which share its threads. Safe to use from several threads."""

    tolerance = 0.08
    """bfloat16 has 8 significant bits: a cell of the shipped model's golden grid differs by 0.03."""

    def __init__(self, path: Path, *, threads: int = 0, at_once: int = 1) -> None:
        """Open a model file.

        Args:
            path: an ONNX file.
            threads: of all runs together; 0 for all cores.
            at_once: parallel runs.

        Raises:
            ModelError: the file is missing, or not a model that OpenVINO can read.
        """
        if not path.is_file():
            raise ModelError(f"There is no model file {path}. Give the path of an exported model.onnx.")
        options = {"INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1, "NUM_STREAMS": at_once}
        try:
            core = openvino.Core()
            read = core.read_model(str(path))
            self._model = core.compile_model(read, "CPU", options)
        except Exception as error:
            raise ModelError(
                f"{path} is not a model that OpenVINO can read ({str(error).strip()[-200:]}). "
                "Name another, or export it with `parking train`."
            ) from error
        self.metadata = _metadata(read)
        self.signature = Signature(
            inputs=tuple((port.any_name, _type_of(port)) for port in read.inputs),
            outputs=tuple((port.any_name, _type_of(port)) for port in read.outputs),
        )
        self._mine = threading.local()

    def run(self, outputs: list[str], tiles: NDArray[np.uint8]) -> list[Any]:
        """Run the model; exceptions of OpenVINO are passed on."""
        if not hasattr(self._mine, "request"):
            self._mine.request = self._model.create_infer_request()
        answers = self._mine.request.infer({"tiles": tiles})
        return [answers[name] for name in outputs]

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Run once, so that no request is slowed by the first run."""
        self.run(outputs, tiles)


def _metadata(model: Any) -> dict[str, str]:  # noqa: ANN401
    if "framework" not in model.rt_info:
        return {}
    return {name: str(text.value) for name, text in model.rt_info["framework"].items()}


def _type_of(port: Any) -> str:  # noqa: ANN401
    name: str = port.get_element_type().get_type_name()
    return _TYPES.get(name, name)
