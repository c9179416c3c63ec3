"""Maps from a network in torch, through the same detector that will serve it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parking.data.tiles import in_all_orientations, stitch
from parking.detection.contract import STRIDE
from parking.detection.detector import Detector
from parking.detection.golden import TOLERANCE
from parking.detection.onnx_model import Signature
from parking.learning.export import ServedNetwork
from parking.learning.hardware import probability
from parking.learning.network import PixelNetwork, find_device
from parking.learning.recipe import Recipe
from parking.learning.rules import draft_contract
from parking.learning.scene_embedding import EmbeddingHeads

__all__ = ["detector_of", "predict"]

_TILES_AT_ONCE = {"cpu": 2, "cuda": 16}


class TorchModel:
    """A network in torch as the detector runs it, so that scenes are scored with the code that serves."""

    metadata: dict[str, str] = {}  # noqa: RUF012 - part of the protocol
    tolerance = TOLERANCE

    def __init__(self, served: ServedNetwork, device: torch.device) -> None:
        self._served = served.to(device).to(memory_format=torch.channels_last).eval()
        self._device = device
        outputs = tuple((name, "tensor(float)") for name in served.outputs)
        self.signature = Signature((("tiles", "tensor(uint8)"),), outputs)

    @torch.inference_mode()
    def run(self, outputs: list[str], tiles: NDArray[np.uint8]) -> list[Any]:
        """Arrays of these outputs."""
        answers = probability(self._served, torch.from_numpy(np.ascontiguousarray(tiles)).to(self._device))
        by_name = dict(zip(self._served.outputs, answers, strict=True))
        return [by_name[name].float().cpu().numpy() for name in outputs]

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Nothing has to be warmed up."""


def detector_of(network: torch.nn.Module, recipe: Recipe, heads: EmbeddingHeads | None = None) -> Detector:
    """A detector of a network, with a contract of which nothing was measured yet.

    Args:
        network: logits from normalised pixels; it is copied.
        recipe: that it was built by.
        heads: what is read from the texture of a tile.
    """
    served = ServedNetwork(network, recipe, heads)
    return Detector(TorchModel(served, find_device(recipe)), draft_contract(recipe), sha256="")


def predict(
    network: torch.nn.Module, recipe: Recipe, pixels: NDArray[np.uint8], flips: bool = False
) -> NDArray[np.float32]:
    """The chance that a pixel is free, of a scene at the recipe's ground resolution, cut into the recipe's tiles.

    Args:
        network: logits from normalised pixels; it is moved to the recipe's device and set to evaluation.
        recipe: that the network was built by.
        pixels: RGB, (H, W, 3).
        flips: whether to take the mean over all eight orientations of the scene.

    Returns:
        (H, W) in [0, 1].
    """
    device = find_device(recipe)
    model = PixelNetwork(network, recipe).to(device).to(memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def answer(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = probability(model, torch.from_numpy(tiles).to(device))[:, :1]
        return np.asarray(answers.permute(0, 2, 3, 1).float().cpu().numpy(), np.float32)

    ask = in_all_orientations(answer) if flips else answer
    at_once = _TILES_AT_ONCE[device.type]
    return stitch(pixels, ask, tile=recipe.tile, overlap=recipe.overlap, batch=at_once, multiple=STRIDE)[0]
