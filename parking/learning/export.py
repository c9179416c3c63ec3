"""A network as a file to serve: ONNX, from raw pixels to probability, with its contract inside."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from parking.detection.contract import METADATA_KEY, Contract, open_session
from parking.detection.golden import Grid, block_means
from parking.errors import TrainingError
from parking.learning.network import PixelNetwork
from parking.learning.recipe import Recipe

OPSET = 17

TOLERANCE = 1e-3
"""Largest difference of a probability between torch and the exported file."""

_TRIED_SIZES = ((1, 32, 32), (1, 256, 256), (2, 96, 160), (1, 320, 224))
"""Tiles, height and width that parity is checked on, besides the golden tile."""


def export_onnx(network: nn.Module, recipe: Recipe, path: Path, contract: Contract) -> Path:
    """Write a network and its contract as one ONNX file, and check that it answers as torch does.

    The file takes `tiles`, uint8 (N, H, W, 3), and gives `probability`, float32 (N, H, W); N, H and W are free, H and W
    multiples of 32.

    Args:
        network: logits from normalised pixels; it is left as it is.
        recipe: that it was built by.
        path: file to write.
        contract: what the model declares.

    Raises:
        TrainingError: the file answers otherwise than the network.
    """
    model = _pixel_network(network, recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    _trace(model, path)
    _add_contract(path, contract)
    _check_parity(model, path)
    return path


def golden_grid(network: nn.Module, recipe: Recipe, tile: NDArray[np.uint8]) -> Grid:
    """What a network answers to a golden tile, RGB (256, 256, 3), as the contract keeps it."""
    return block_means(_answer(_pixel_network(network, recipe), tile[None])[0])


def _pixel_network(network: nn.Module, recipe: Recipe) -> PixelNetwork:
    return PixelNetwork(deepcopy(network).cpu().to(memory_format=torch.contiguous_format), recipe).eval()


def _trace(model: PixelNetwork, path: Path) -> None:
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
            output_names=["probability"],
            dynamic_axes={"tiles": axes, "probability": axes},
        )


def _add_contract(path: Path, contract: Contract) -> None:
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.model_dump_json()
    unfinished = path.with_name(f"{path.name}.part")
    onnx.save(model, str(unfinished), save_as_external_data=False)
    unfinished.replace(path)


def _check_parity(model: PixelNetwork, path: Path, sizes: Sequence[tuple[int, int, int]] = _TRIED_SIZES) -> None:
    session = open_session(path, threads=2)
    random = np.random.default_rng(0)
    worst = 0.0
    for number, height, width in sizes:
        tiles = random.integers(0, 256, (number, height, width, 3), np.uint8)
        (answer,) = session.run(["probability"], {"tiles": tiles})
        difference = np.abs(np.asarray(answer) - _answer(model, tiles)).max()
        # A maximum passes NaN on, and no comparison with it holds.
        worst = max(worst, float(difference) if np.isfinite(difference) else np.inf)
    if worst > TOLERANCE:
        raise TrainingError(
            f"The exported file {path} differs from the network by {worst:.2g} in probability, more than "
            f"{TOLERANCE:g}: it must not be registered. Train again with another encoder, or report this one."
        )


@torch.inference_mode()
def _answer(model: PixelNetwork, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    answer: NDArray[np.float32] = model(torch.from_numpy(tiles)).numpy()
    return answer
