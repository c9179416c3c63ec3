"""What a tile costs in other runtimes and with other settings, and how far their answers are from ours."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from parking.data.imagery import read_raster
from parking.data.synthetic.scene import generate_scene
from parking.detection.contract import read_contract
from parking.shipped import shipped_model

Tile = NDArray[np.uint8]
Run = Callable[[Tile], NDArray[np.float32]]
SIDE = 512


def measure_runtimes(folder: Path, images: Path | None, rounds: int) -> list[dict[str, Any]]:
    """The shipped model on single tiles, in turns.

    Args:
        folder: for the files that are made on the way.
        images: real ones, to compare answers on; generated scenes where there are none.
        rounds: runs of each; the median counts.
    """
    tiles = list(_tiles(images))
    runs = dict(_runs(folder, tiles[:16]))
    took: dict[str, list[float]] = {name: [] for name in runs}
    for tile in (tiles * rounds)[:rounds]:
        for name, run in runs.items():
            started = time.perf_counter()
            run(tile)
            took[name].append((time.perf_counter() - started) * 1000)
    ours = statistics.median(took["as served"])
    threshold = read_contract(shipped_model()).threshold
    judged = tiles[16:48] or tiles
    truth = [runs["as served"](tile) for tile in judged]
    rows = []
    for name, run in runs.items():
        ms = statistics.median(took[name])
        answers = truth if name == "as served" else [run(tile) for tile in judged]
        row = {"runtime": name, "ms": ms, "speed": ours / ms, "agreement": _agreement(truth, answers, threshold)}
        rows.append(row)
        told = f"{row['speed']:.2f} times as fast, masks agree at IoU {row['agreement']:.4f}"
        print(f"{name:24} {ms:6.0f} ms a tile, {told}")
    return rows


def _tiles(images: Path | None) -> Iterator[Tile]:
    """One tile of each image; every other image first, so that calibration and judgement see all kinds."""
    if images is None:
        yield from (generate_scene(seed, SIDE).raster.pixels for seed in range(24))
        return
    files = sorted(path for path in images.iterdir() if path.suffix in (".jpg", ".png"))
    for path in [*files[::2], *files[1::2]]:
        pixels = read_raster(path).pixels
        if min(pixels.shape[:2]) >= SIDE:
            yield np.ascontiguousarray(pixels[:SIDE, :SIDE])


def _runs(folder: Path, calibration: Sequence[Tile]) -> Iterator[tuple[str, Run]]:
    model, cores = shipped_model(), os.cpu_count() or 1
    levels = onnxruntime.GraphOptimizationLevel
    yield "as served", _onnx(model)
    yield "one thread", _onnx(model, threads=1)
    yield "threads spin", _onnx(model, spin="1")
    yield "no arena", _onnx(model, arena=False)
    yield "basic graph level", _onnx(model, level=levels.ORT_ENABLE_BASIC)
    yield "int8", _onnx(_quantized(model, folder, calibration))
    yield "OpenVINO", _openvino(model, cores)


def _onnx(model: Path, *, threads: int = 0, spin: str = "0", arena: bool = True, level: Any = None) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    if level is not None:
        options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda tile: np.asarray(session.run(["probability"], {"tiles": tile[None]})[0][0], np.float32)


def _openvino(model: Path, threads: int) -> Run:
    import openvino  # type: ignore[import-untyped]

    compiled = openvino.compile_model(str(model), "CPU", {"INFERENCE_NUM_THREADS": threads})
    return lambda tile: np.asarray(compiled({"tiles": tile[None]})["probability"][0], np.float32)


def _quantized(model: Path, folder: Path, calibration: Sequence[Tile]) -> Path:
    """Convolutions in 8 bits, by channel, calibrated on tiles (QDQ, the form that ONNX Runtime advises for x86)."""
    prepared, done = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(done),
        _Tiles(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return done


class _Tiles(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, tiles: Sequence[Tile]) -> None:
        self._left = list(tiles)

    def get_next(self) -> dict[str, Tile] | None:
        return {"tiles": self._left.pop()[None]} if self._left else None


def _agreement(truth: Sequence[NDArray[np.float32]], answers: Sequence[NDArray[np.float32]], level: float) -> float:
    both = sum(int(((a >= level) & (b >= level)).sum()) for a, b in zip(truth, answers, strict=True))
    either = sum(int(((a >= level) | (b >= level)).sum()) for a, b in zip(truth, answers, strict=True))
    return both / either if either else 1.0
