"""Scenes in memory, as training and scoring read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parking.data.polygons import Ring
from parking.learning.recipe import Recipe
from parking.progress import Progress, silent

if TYPE_CHECKING:
    from parking.data.dataset import Scene
    from parking.storage import Store

_GENERATED_SEED = 1_000_000
"""Far from the seeds that people draw scenes with: a demo's test scenes are none of these."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sample:
    """One scene at the recipe's ground resolution."""

    name: str
    pixels: NDArray[np.uint8]
    """RGB, (H, W, 3)."""

    mask: NDArray[np.bool_]
    """(H, W), true where a pixel is free parking."""

    rings: tuple[Ring, ...]
    """Free places in these pixels, which are not the scene's where it was resampled."""

    scene: Scene


def load_samples(store: Store, scenes: Sequence[Scene], recipe: Recipe, progress: Progress = silent) -> list[Sample]:
    """Read scenes from the store, about 4 MB of memory a megapixel.

    Raises:
        ParkingError: an image is gone from the store or cannot be decoded.
    """
    samples = []
    for done, scene in enumerate(scenes, 1):
        samples.append(_load(store, scene, recipe.gsd))
        progress(done, len(scenes), "reading scenes")
    return samples


@lru_cache(maxsize=1)
def generated_samples(count: int) -> tuple[Sample, ...]:
    """Drawn scenes, the same ones for the same count; drawn once a process."""
    return tuple(_generated(seed) for seed in range(count))


def _generated(seed: int) -> Sample:
    # Imported late, see `_load`.
    from parking.data.dataset import Scene, free_mask
    from parking.data.synthetic import generate_scene

    drawn = generate_scene(_GENERATED_SEED + seed)
    height, width = drawn.raster.height, drawn.raster.width
    name = f"generated-{seed}"
    scene = Scene(
        name=name,
        image=name,
        sha256=f"{seed:064x}",
        width=width,
        height=height,
        annotator="generator",
        group=name,
        rings=drawn.rings,
        split="train",
    )
    return Sample(name, drawn.raster.pixels, free_mask(drawn.rings, height, width), drawn.rings, scene)


def _load(store: Store, scene: Scene, gsd: float) -> Sample:
    # Imported late: this pulls in the readers of every image format, which a machine that only trains does without.
    from parking.data.dataset import free_mask, load_raster

    raster = load_raster(store, scene, gsd)
    rings = _scaled(scene.rings, raster.width / scene.width, raster.height / scene.height)
    return Sample(scene.name, raster.pixels, free_mask(rings, raster.height, raster.width), rings, scene)


def _scaled(rings: Sequence[Ring], across: float, down: float) -> tuple[Ring, ...]:
    return tuple(tuple((x * across, y * down) for x, y in ring) for ring in rings)
