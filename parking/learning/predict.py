"""Probability maps from a network that is still torch's."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from parking.data.tiles import in_all_orientations, stitch
from parking.learning.hardware import probability
from parking.learning.network import PixelNetwork, find_device
from parking.learning.recipe import Recipe

_TILES_AT_ONCE = {"cpu": 2, "cuda": 16}


def predict(network: nn.Module, recipe: Recipe, pixels: NDArray[np.uint8], flips: bool = False) -> NDArray[np.float32]:
    """The probability map of a scene, cut into the recipe's tiles.

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
        answers: NDArray[np.float32] = probability(model, torch.from_numpy(tiles).to(device)).cpu().numpy()
        return answers[..., None]

    ask = in_all_orientations(answer) if flips else answer
    return stitch(pixels, ask, tile=recipe.tile, overlap=recipe.overlap, batch=_TILES_AT_ONCE[device.type])[:, :, 0]
