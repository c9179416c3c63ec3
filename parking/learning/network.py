"""The network: a U-Net over a pretrained encoder, and the module that serves it from raw pixels."""

from pathlib import Path
from typing import cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from parking.detection.contract import MapName
from parking.errors import TrainingError
from parking.learning.recipe import Recipe
from parking.learning.weights import from_wheel, load_from_file, load_from_wheel

__all__ = ["Normalisation", "PixelNetwork", "build_network", "find_device"]

PRIORS: dict[MapName, float] = {"probability": 0.1, "vehicle": 0.07, "free_core": 0.05, "vehicle_core": 0.035}
"""Chance of a pixel of each map that an untrained network answers with, near its share in the crops.

See Lin et al., 2017."""


def find_device(recipe: Recipe) -> torch.device:
    """The device that a recipe asks for.

    Raises:
        TrainingError: a GPU is asked for and there is none.
    """
    present = torch.cuda.is_available()
    if recipe.device == "cuda" and not present:
        raise TrainingError("The recipe asks for a GPU (device `cuda`) and torch finds none: use `auto` or `cpu`.")
    return torch.device("cuda" if present and recipe.device != "cpu" else "cpu")


def build_network(recipe: Recipe) -> nn.Module:
    """A U-Net of the recipe, with the same weights for the same seed.

    Returns:
        A module from normalised pixels, float (N, 3, H, W), to logits, float (N, K, H, W), a map of the
        recipe each; H and W multiples of 32.

    Raises:
        TrainingError: no such encoder, or weights that cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = _unet(recipe)
    match recipe.encoder_weights:
        case "imagenet" if from_wheel(recipe.encoder):
            load_from_wheel(network, recipe.encoder)
        case "imagenet" | "none":
            pass
        case path:
            load_from_file(network, Path(path).expanduser())
    return network


def _unet(recipe: Recipe) -> nn.Module:
    hub = "imagenet" if recipe.encoder_weights == "imagenet" and not from_wheel(recipe.encoder) else None
    try:
        network = smp.Unet(
            recipe.encoder,
            encoder_weights=hub,
            decoder_channels=recipe.decoder_channels,
            classes=len(recipe.maps),
        )
    except KeyError as error:
        raise TrainingError(f"segmentation-models-pytorch has no encoder {recipe.encoder!r}: {error}") from error
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"No network could be built with the encoder {recipe.encoder!r} and its ImageNet weights: {error}. "
            f"Check the name; without a network set encoder_weights to `none` or a file."
        ) from error
    head = cast(nn.Conv2d, network.segmentation_head[0])
    priors = torch.tensor([PRIORS[name] for name in recipe.maps])
    cast(Tensor, head.bias).data.copy_(torch.logit(priors))
    return cast(nn.Module, network)


class Normalisation(nn.Module):
    """Raw pixels as an encoder wants them."""

    mean: Tensor
    scale: Tensor

    def __init__(self, encoder: str) -> None:
        super().__init__()
        mean, scale = _normalisation(encoder)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """Float (N, 3, H, W), of RGB tiles, uint8 (N, H, W, 3)."""
        # Channels-last pixels permuted are channels-last memory: no copy, and the layout convolutions are fastest in.
        return (tiles.permute(0, 3, 1, 2).float() - self.mean) / self.scale


class PixelNetwork(nn.Module):
    """A network with its normalisation in front and, at `forward`, the sigmoid behind: pixels in, probability out."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalisation(recipe.encoder)

    def logits(self, tiles: Tensor) -> Tensor:
        """Logits, float (N, K, H, W), of RGB tiles, uint8 (N, H, W, 3)."""
        return cast(Tensor, self.network(self.normalise(tiles)))

    def forward(self, tiles: Tensor) -> Tensor:
        """Probabilities, float32 (N, K, H, W), of RGB tiles, uint8 (N, H, W, 3)."""
        return torch.sigmoid(self.logits(tiles).float())


def _normalisation(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and scale, in grey levels, that the encoder's pretraining used."""
    if from_wheel(encoder):
        return (127.0,) * 3, (128.0,) * 3
    return (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
