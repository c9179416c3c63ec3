"""Doubles for tests, named by how they behave: real ONNX files small enough to write in a millisecond."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from parking.detection.contract import METADATA_KEY, BayCalibration, Contract, InstanceRules, LearntFrom
from parking.detection.golden import block_means, encode_tile

STEEPNESS = 16.0
"""The bright model's probability is sigmoid((mean of RGB - 128) / STEEPNESS)."""


def bright_probability(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the bright model answers: high where pixels are bright, near 0 where dark.

    Args:
        pixels: (..., 3).
    """
    mean = pixels.astype(np.float32).mean(axis=-1)
    return np.asarray(1.0 / (1.0 + np.exp(-(mean - 128.0) / STEEPNESS)), np.float32)


def golden_pixels() -> NDArray[np.uint8]:
    """A grey ramp with a bright square: every brightness, and something to find."""
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    pixels = np.repeat(ramp[..., None], 3, axis=2)
    pixels[96:160, 32:96] = 250
    return np.ascontiguousarray(pixels)


def contract(**overrides: Any) -> Contract:
    """The contract of the bright model; any field can be given otherwise."""
    pixels = golden_pixels()
    fields: dict[str, Any] = {
        "gsd": 0.15,
        "tile": 128,
        "overlap": 32,
        "threshold": 0.5,
        "dataset_version": "0123456789ab",
        "learnt_from": LearntFrom(),
        "code_version": "test",
        "trained": datetime(2026, 1, 1, tzinfo=UTC),
        "golden_tile": encode_tile(pixels),
        "golden_grid": block_means(bright_probability(pixels)),
    }
    return Contract(**{**fields, **overrides})


def write_bright_model(path: Path, **overrides: Any) -> Path:
    """A sound model that finds bright pixels; it has no weights to train, and its answer is known exactly."""
    return _write(path, contract(**overrides).model_dump_json())


def write_inverted_model(path: Path, **overrides: Any) -> Path:
    """A sound model that finds dark pixels: another version, to be told from the bright one by its answers."""
    inverse = block_means((1.0 - bright_probability(golden_pixels())).astype(np.float32))
    made = contract(**{"golden_grid": inverse, **overrides})
    return _write(path, made.model_dump_json(), scale=-1.0 / STEEPNESS)


def write_nan_model(path: Path) -> Path:
    """A model whose weights are NaN, under a contract that is fine."""
    return _write(path, contract().model_dump_json(), scale=float("nan"))


def write_altered_model(path: Path) -> Path:
    """A model whose weights are not those that its contract was written for."""
    return _write(path, contract().model_dump_json(), scale=-1.0 / STEEPNESS)


def write_model_without_contract(path: Path) -> Path:
    """A model that says nothing of itself."""
    return _write(path, None)


def write_model_with_bad_contract(path: Path) -> Path:
    """A model whose contract lacks nearly everything."""
    return _write(path, '{"format": 1, "threshold": 7}')


def write_float_model(path: Path) -> Path:
    """A model that wants float pixels, which none of ours does."""
    return _write(path, contract().model_dump_json(), input_type=TensorProto.FLOAT)


RED, GREEN, MAGENTA, CYAN = (255, 0, 0), (0, 255, 0), (255, 0, 255), (0, 255, 255)
"""To the colour model: free ground, a vehicle, the core of a free place, the core of a vehicle."""


def colour_contract(**overrides: Any) -> Contract:
    """The contract of the colour model; any field can be given otherwise."""
    fields: dict[str, Any] = {
        "format": 2,
        "classes": ("free", "vehicle"),
        "maps": ("probability", "vehicle", "free_core", "vehicle_core"),
        "gsd": 0.2,
        "bays": InstanceRules(usual_width_m=2.5, min_area_m2=4.0),
        "vehicles": InstanceRules(usual_width_m=1.9, min_area_m2=3.0),
        "vehicle_length_m": 4.6,
        "known_bays": BayCalibration(),
        "golden_grid": block_means(colour_maps(golden_pixels())[..., 0]),
    }
    return contract(**{**fields, **overrides})


def colour_maps(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the colour model answers: (..., 4) of (..., 3); red is free, green a vehicle, with blue it is a core."""
    red, green, blue = np.moveaxis(pixels.astype(np.float32), -1, 0)
    levels = np.stack([red, green, np.minimum(red, blue), np.minimum(green, blue)], axis=-1)
    return np.asarray(1 / (1 + np.exp(-(levels - 128) / STEEPNESS)), np.float32)


def write_colour_model(path: Path, **overrides: Any) -> Path:
    """A sound model of four maps that reads colours; its answer is known exactly, and purely local."""
    names = ["probability", "vehicle", "free_core", "vehicle_core"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["tiles"], ["float"], to=TensorProto.FLOAT),
            *(helper.make_node("Gather", ["float", f"n{n}"], [f"c{n}"], axis=3) for n in range(3)),
            helper.make_node("Min", ["c0", "c2"], ["free_blue"]),
            helper.make_node("Min", ["c1", "c2"], ["vehicle_blue"]),
            *(
                node
                for name, level in zip(names, ["c0", "c1", "free_blue", "vehicle_blue"], strict=True)
                for node in (
                    helper.make_node("Sub", [level, "middle"], [f"{name}_centred"]),
                    helper.make_node("Mul", [f"{name}_centred", "scale"], [f"{name}_logit"]),
                    helper.make_node("Sigmoid", [f"{name}_logit"], [name]),
                )
            ),
        ],
        "colour",
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "h", "w"]) for name in names],
        [
            *(helper.make_tensor(f"n{n}", TensorProto.INT64, [], [n]) for n in range(3)),
            helper.make_tensor("middle", TensorProto.FLOAT, [], [128.0]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0 / STEEPNESS]),
        ],
    )
    return _save(path, graph, colour_contract(**overrides).model_dump_json())


def write_corrupt_model(path: Path) -> Path:
    """Bytes that are no model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"this is not a model " * 64)
    return path


def _write(
    path: Path, contract_json: str | None, *, scale: float = 1.0 / STEEPNESS, input_type: int | None = None
) -> Path:
    input_type = TensorProto.UINT8 if input_type is None else input_type
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["tiles"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["mean"], axes=[3], keepdims=0),
            helper.make_node("Sub", ["mean", "middle"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "bright",
        [helper.make_tensor_value_info("tiles", input_type, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", "h", "w"])],
        [
            helper.make_tensor("middle", TensorProto.FLOAT, [], [128.0]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
        ],
    )
    return _save(path, graph, contract_json)


def _save(path: Path, graph: Any, contract_json: str | None) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if contract_json is not None:
        helper.set_model_props(model, {METADATA_KEY: contract_json})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
