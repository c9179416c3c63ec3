"""Small scenes whose free places are as easy to see as to check, and a network that sees them without learning."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from parking.data.dataset import Scene, free_mask
from parking.data.polygons import Ring
from parking.data.snapshot import AnnotatedClass
from parking.learning.predict import detector_of
from parking.learning.recipe import Recipe
from parking.learning.scene_prediction import ScenePrediction, predict_scene
from parking.learning.training_scenes import Sample
from tests.doubles import CYAN, GREEN, MAGENTA, RED, STEEPNESS

TINY = Recipe(
    encoder_weights="none",
    decoder_channels=(16, 16, 16, 8, 8),
    crop=64,
    batch=2,
    steps=4,
    evaluations=2,
    tile=128,
    overlap=32,
    light=0.2,
    ema_decay=0.9,
    device="cpu",
)
"""A recipe that trains in a second."""


def box(x: float, y: float, width: float, height: float) -> Ring:
    """The outline of an upright rectangle."""
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def make_sample(number: int, rings: tuple[Ring, ...] | None = None, size: int = 96) -> Sample:
    """A scene with bright places; without `rings`, two places where the number puts them."""
    random = np.random.default_rng(number)
    if rings is None:
        x, y = random.integers(0, size - 34, 2).tolist()
        rings = (box(x, y, 17, 33), box(x + 17, y, 17, 33))
    mask = free_mask(rings, size, size)
    pixels = random.integers(30, 90, (size, size, 3)).astype(np.uint8)
    pixels[mask] = random.integers(180, 240, (int(mask.sum()), 3)).astype(np.uint8)
    name = f"scene-{number}"
    scene = Scene(
        name=name,
        image=f"images/{name}",
        sha256=f"{number:064x}",
        width=size,
        height=size,
        annotator="a",
        group=name,
        rings=rings,
        split="train",
    )
    return Sample(name, pixels, mask, rings, scene)


def make_samples(count: int) -> list[Sample]:
    """Scenes 0 to `count` - 1."""
    return [make_sample(number) for number in range(count)]


def inner(ring: Ring, inset: float = TINY.inset) -> Ring:
    """The core of an upright rectangle."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    x, y, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    less = inset * min(width, height)
    return box(x + less, y + less, width - 2 * less, height - 2 * less)


def paint(
    number: int,
    rings: tuple[Ring, ...] = (),
    vehicles: tuple[Ring, ...] = (),
    *,
    size: int = 96,
    gsd: float | None = TINY.gsd,
    annotated: tuple[AnnotatedClass, ...] = ("free", "vehicle"),
    **more: object,
) -> Sample:
    """A scene in the colours that `Colours` reads: free places and vehicles, upright, each with its core."""
    pixels = np.full((size, size, 3), 20, np.uint8)
    for drawn, ground, core in ((rings, RED, MAGENTA), (vehicles, GREEN, CYAN)):
        pixels[free_mask(drawn, size, size)] = ground
        pixels[free_mask([inner(ring) for ring in drawn], size, size)] = core
    scene = Scene.model_validate(
        {
            **make_sample(number, rings, size).scene.model_dump(),
            **{"vehicles": vehicles, "annotated": annotated, "gsd": gsd, **more},
        }
    )
    return Sample(scene.name, pixels, free_mask(rings, size, size), rings, scene, vehicles, scene.ignored)


class Colours(nn.Module):
    """A network without weights: red is free, green a vehicle, and with blue it is a core.

    Args:
        sure: what it answers where it sees its colour.
        elsewhere: what it answers where it does not.
    """

    def __init__(self, sure: float = 0.98, elsewhere: float = 0.02) -> None:
        super().__init__()
        self._sure, self._elsewhere = sure, elsewhere

    def forward(self, normalised: Tensor) -> Tensor:
        """Logits (N, 4, H, W) of (N, 3, H, W)."""
        red, green, blue = (normalised * 128 + 127).unbind(1)
        levels = torch.stack([red, green, torch.minimum(red, blue), torch.minimum(green, blue)], dim=1)
        seen = torch.sigmoid((levels - 128) / STEEPNESS)
        return torch.logit(self._elsewhere + (self._sure - self._elsewhere) * seen)


def answered(
    samples: Sequence[Sample], network: nn.Module | None = None, recipe: Recipe = TINY
) -> list[ScenePrediction]:
    """What a network says of scenes, through the detector that would serve it."""
    detector = detector_of(network or Colours(), recipe)
    return [predict_scene(detector, sample) for sample in samples]


def predicted(sample: Sample, found: tuple[Ring, ...], probability: float = 0.9) -> ScenePrediction:
    """A prediction that says `probability` inside `found`, and 0 elsewhere."""
    mask = free_mask(found, *sample.mask.shape)
    return ScenePrediction(sample.name, (mask * probability).astype(np.float16), sample)
