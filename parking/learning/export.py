"""Export of a network to ONNX, from raw pixels to probabilities, with its contract in the file."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parking.detection.contract import METADATA_KEY, Contract
from parking.detection.detector import EXTRA_OUTPUTS
from parking.detection.golden import Grid, block_means
from parking.detection.onnx_model import open_session
from parking.errors import TrainingError
from parking.files import whole
from parking.learning.network import PixelNetwork
from parking.learning.recipe import Recipe
from parking.learning.scene_embedding import EmbeddingHeads, Linear

__all__ = ["ServedNetwork", "export_onnx", "golden_grid"]

OPSET = 17

TOLERANCE = 1e-3
"""Largest difference of a probability between torch and the exported file."""

_UNITS = {"embedding": 100.0}
"""Unit of a difference: random tiles are a hundred standard deviations from any scene."""

_TRIED_SIZES = ((1, 32, 32), (1, 256, 256), (2, 96, 160), (1, 320, 224))
"""Tiles, height and width that parity is checked on, besides the golden tile."""


class ServedNetwork(nn.Module):
    """A pixel network and the heads on its features, which are exported together."""

    def __init__(self, network: nn.Module, recipe: Recipe, heads: EmbeddingHeads | None = None) -> None:
        super().__init__()
        self.pixels = PixelNetwork(deepcopy(network).cpu().to(memory_format=torch.contiguous_format), recipe)
        self.stem = heads.stem if heads else None
        self.outputs: list[str] = [*recipe.maps]
        if heads and heads.size:
            self.outputs.append("size")
            self.size, self.bounds = _linear(heads.size), (heads.size.low, heads.size.high)
        if heads:
            self.outputs.append("embedding")
            self.components = _linear(heads.components)
        self.eval()

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in their order, of RGB tiles, uint8 (N, H, W, 3)."""
        answers = list(self.pixels(tiles).unbind(1))
        if self.stem is not None:
            features = self.stem(tiles)
            answers += [self.size(features)[:, 0].clamp(*self.bounds)] if "size" in self.outputs else []
            answers.append(self.components(features))
        return tuple(answers)


def export_onnx(
    network: nn.Module, recipe: Recipe, path: Path, contract: Contract, heads: EmbeddingHeads | None = None
) -> Path:
    """Write a network and its contract as one ONNX file, and check its parity with torch.

    The file takes `tiles`, uint8 (N, H, W, 3), and gives each of the recipe's maps, float32 (N, H, W); N, H and W are
    free, H and W multiples of 32. With heads it also gives `size`, (N,), the log of the size of places in pixels, and
    `embedding`, (N, 8).

    Args:
        network: logits from normalised pixels; it is not changed.
        recipe: of the network.
        path: file to write.
        contract: of the model.
        heads: size and embedding from the features of a tile.

    Raises:
        TrainingError: the outputs of the file differ from those of the network.
    """
    model = ServedNetwork(network, recipe, heads)
    path.parent.mkdir(parents=True, exist_ok=True)
    _trace(model, path)
    write_with_contract(path, contract, path)
    _check_parity(model, path)
    return path


def golden_grid(network: nn.Module, recipe: Recipe, tile: NDArray[np.uint8]) -> Grid:
    """The network's answer to a golden tile, RGB (256, 256, 3), in the form of the contract."""
    return block_means(_answer(ServedNetwork(network, recipe), tile[None])[0][0])


def _linear(linear: Linear) -> nn.Linear:
    layer = nn.Linear(*linear.weights.shape)
    layer.weight.data = torch.from_numpy(linear.weights.T.astype(np.float32))
    layer.bias.data = torch.from_numpy(linear.offset.astype(np.float32))
    return layer


def _trace(model: ServedNetwork, path: Path) -> None:
    tiles = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    axes = {0: "tile", 1: "height", 2: "width"}
    with warnings.catch_warnings():
        # The newer exporter hangs on the SAME padding of these encoders with free sizes, so the older one stays.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (tiles,),
            str(path),
            opset_version=OPSET,
            dynamo=False,
            input_names=["tiles"],
            output_names=model.outputs,
            dynamic_axes={name: {0: "tile"} if name in EXTRA_OUTPUTS else axes for name in ("tiles", *model.outputs)},
        )


def write_with_contract(path: Path, contract: Contract, out: Path) -> None:
    """Write a model file with another contract in place of its own.

    Args:
        path: the ONNX file.
        contract: that the new file says.
        out: the new file; may be the old one.
    """
    model = onnx.load(str(path))
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.model_dump_json()
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as unfinished:
        onnx.save(model, str(unfinished), save_as_external_data=False)


def _check_parity(model: ServedNetwork, path: Path, sizes: Sequence[tuple[int, int, int]] = _TRIED_SIZES) -> None:
    session = open_session(path, threads=2)
    random = np.random.default_rng(0)
    worst = 0.0
    for number, height, width in sizes:
        tiles = random.integers(0, 256, (number, height, width, 3), np.uint8)
        answers = session.run(model.outputs, {"tiles": tiles})
        for name, answer, expected in zip(model.outputs, answers, _answer(model, tiles), strict=True):
            difference = float(np.abs(np.asarray(answer) - expected).max()) / _UNITS.get(name, 1.0)
            # A maximum passes NaN on, and no comparison with it holds.
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
    if worst > TOLERANCE:
        raise TrainingError(
            f"The exported file {path} differs from the network by {worst:.2g} in what it answers, more than "
            f"{TOLERANCE:g}: it must not be registered. Train again with another encoder, or report this one."
        )


@torch.inference_mode()
def _answer(model: ServedNetwork, tiles: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    return [answer.numpy() for answer in model(torch.from_numpy(tiles))]
