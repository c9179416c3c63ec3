"""A model file in ONNX Runtime: opened for one run at a time, or for several beside each other."""

import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parking.detection.golden import TOLERANCE
from parking.errors import ModelError

__all__ = ["Sessions", "Signature", "open_session"]


@dataclass(frozen=True, slots=True)
class Signature:
    """Names and types of what a model takes and gives, such as ("tiles", "tensor(uint8)")."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


class Sessions:
    """One model, and as many threads for a run as its neighbours leave it. Safe to use from several threads.

    A run that is alone has all threads. Runs beside each other take a share each, in a session of its own, for ONNX
    Runtime settles the threads when it opens one: two runs of one thread answer a sixth more than two runs one after
    the other with two (docs/performance.md). The answers are the same to the bit.
    """

    tolerance = TOLERANCE

    def __init__(self, path: Path, *, threads: int = 0, at_once: int = 1) -> None:
        """Open a model file.

        Args:
            path: an ONNX file.
            threads: of all runs together; 0 for all cores.
            at_once: runs that may be under way; each beyond the first costs memory for what the network computes.

        Raises:
            ModelError: the file is missing, or not a model that ONNX Runtime can read.
        """
        self.alone = open_session(path, threads=threads)
        share = max(1, (threads or os.cpu_count() or 1) // at_once)
        self.beside = open_session(path, threads=share) if at_once > 1 else self.alone
        self.metadata: dict[str, str] = self.alone.get_modelmeta().custom_metadata_map
        self.signature = Signature(
            inputs=tuple((value.name, value.type) for value in self.alone.get_inputs()),
            outputs=tuple((value.name, value.type) for value in self.alone.get_outputs()),
        )
        self._under_way = 0
        self._counting = threading.Lock()

    def run(self, outputs: list[str], tiles: NDArray[np.uint8]) -> list[Any]:
        """Run the model; what ONNX Runtime raises is raised."""
        with self._counting:
            session = self.beside if self._under_way else self.alone
            self._under_way += 1
        try:
            return list(session.run(outputs, {"tiles": tiles}))
        finally:
            with self._counting:
                self._under_way -= 1

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Run once, so that no request pays for the first run: what it fetches of memory serves both sessions."""
        self.alone.run(outputs, {"tiles": tiles})


def open_session(path: Path, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a model file on the CPU.

    Args:
        path: an ONNX file.
        threads: of one inference; 0 for all cores.

    Raises:
        ModelError: the file is missing, or not a model that ONNX Runtime can read.
    """
    if not path.is_file():
        raise ModelError(f"There is no model file {path}. Give the path of an exported model.onnx.")
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes a core from whoever shares the machine, and wins nothing measurable
    # where nobody does (docs/performance.md).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"{path} is not a model that ONNX Runtime can read ({_first_line(error)}). "
            "Name another, or export it with `parking train`."
        ) from error


@cache
def _share_memory() -> None:
    """One arena for all sessions of the process: what one has done with, another can use."""
    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    cpu = onnxruntime.OrtMemoryInfo("Cpu", kinds[0], 0, kinds[1])
    onnxruntime.create_and_register_allocator(cpu, None)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
