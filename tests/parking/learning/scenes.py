"""Small scenes whose free places are as easy to see as to check: bright rectangles on dark ground."""

import numpy as np

from parking.data.dataset import Scene, free_mask
from parking.data.polygons import Ring
from parking.learning.evaluate import ScenePrediction
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

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


def predicted(sample: Sample, found: tuple[Ring, ...], probability: float = 0.9) -> ScenePrediction:
    """A prediction that says `probability` inside `found`, and 0 elsewhere."""
    mask = free_mask(found, *sample.mask.shape)
    return ScenePrediction(sample.name, (mask * probability).astype(np.float16), sample)
