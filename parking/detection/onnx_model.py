"""A model file in ONNX Runtime, opened for one run at a time or for several in parallel."""

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
    """Names and types of inputs or outputs, such as ("tiles", "tensor(uint8)")."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


class Sessions:
    """One model whose threads are shared by the runs at a time. Safe to use from several threads.

    A single run uses all threads. Parallel runs use a share each, in sessions of their own, because ONNX Runtime fixes
    the number of threads when it opens a session: two runs with one thread each give a sixth more answers than two
    successive runs with two (docs/performance.md). The answers are identical.
    """

    tolerance = TOLERANCE

    def __init__(self, path: Path, *, threads: int = 0, at_once: int = 1) -> None:
        """Open a model file.

        Args:
            path: an ONNX file.
            threads: of all runs together; 0 for all cores.
            at_once: parallel runs; each beyond the first needs memory for the network's activations.

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
        """Run the model; exceptions of ONNX Runtime are passed on."""
        with self._counting:
            session = self.beside if self._under_way else self.alone
            self._under_way += 1
        try:
            return list(session.run(outputs, {"tiles": tiles}))
        finally:
            with self._counting:
                self._under_way -= 1

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Run once, so that no request is slowed by the first run; its memory is used by both sessions."""
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
    # A thread that spins while it waits occupies a core that others could use, and gains nothing measurable
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
    """One arena for all sessions of the process, so that they reuse each other's memory."""
    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    cpu = onnxruntime.OrtMemoryInfo("Cpu", kinds[0], 0, kinds[1])
    onnxruntime.create_and_register_allocator(cpu, None)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
