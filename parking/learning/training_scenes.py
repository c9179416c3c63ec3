"""Scenes in memory, for training and scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from parking.data.polygons import Ring
from parking.learning.recipe import Recipe
from parking.progress import Progress, silent

if TYPE_CHECKING:
    from parking.data.dataset import Scene
    from parking.storage import Store

__all__ = ["KINDS", "Kind", "Sample", "generated_samples", "load_samples"]

Kind = Literal["streets", "bays", "vehicles"]
"""`bays` where painted bays were annotated, `vehicles` where nothing says what is free, else `streets`."""

KINDS: dict[Kind, str] = {"streets": "streets", "bays": "car parks", "vehicles": "vehicles alone"}
"""Kinds of scenes and their names for people."""

_GENERATED_SEED = 1_000_000
"""Base of the seeds, far from those that users choose, so that a demo's test scenes are not among these."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sample:
    """One scene as the detector gets it: at the recipe's ground resolution where its own is known, else as it is."""

    name: str
    pixels: NDArray[np.uint8]
    """RGB, (H, W, 3)."""

    mask: NDArray[np.bool_]
    """(H, W), true where a pixel is free parking."""

    rings: tuple[Ring, ...]
    """Free places in these pixels, which are not the scene's where it was resampled."""

    scene: Scene
    vehicles: tuple[Ring, ...] = ()
    """Vehicles in these pixels."""

    ignored: tuple[Ring, ...] = ()
    """Ground in these pixels that is used for neither training nor scoring."""

    zoom: float = 1.0
    """Pixels at the recipe's ground resolution for each of these, as the annotation tells it. For learning alone."""

    @property
    def judges(self) -> bool:
        """Whether the scene says where free places are."""
        return "free" in self.scene.annotated

    @property
    def kind(self) -> Kind:
        """Each kind has its share of the crops, and counts alike where rules are chosen."""
        if not self.judges:
            return "vehicles"
        return "bays" if "stall" in self.scene.annotated else "streets"

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(H, W), the pixels that a prediction is judged by."""
        from parking.data.dataset import free_mask

        return ~free_mask(self.ignored, *self.mask.shape)


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
def generated_samples(count: int, gsd: float) -> tuple[Sample, ...]:
    """Generated scenes, the same ones for the same count; generated once per process.

    Args:
        count: how many.
        gsd: metres per pixel that they are learnt at.
    """
    return tuple(_generated(seed, gsd) for seed in range(count))


def _generated(seed: int, gsd: float) -> Sample:
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
        vehicles=drawn.vehicles,
        stalls=drawn.rings,
        annotated=("free", "vehicle", "stall"),
        split="train",
    )
    mask = free_mask(drawn.rings, height, width)
    return Sample(
        name, drawn.raster.pixels, mask, drawn.rings, scene, drawn.vehicles, zoom=(drawn.raster.gsd or gsd) / gsd
    )


def _load(store: Store, scene: Scene, gsd: float) -> Sample:
    # Imported late: this pulls in the readers of every image format, which a machine that only trains does without.
    from parking.data.dataset import free_mask, load_raster
    from parking.learning.scene_scale import annotated_gsd

    raster = load_raster(store, scene, gsd)
    across, down = raster.width / scene.width, raster.height / scene.height
    rings = _scaled(scene.rings, across, down)
    return Sample(
        name=scene.name,
        pixels=raster.pixels,
        mask=free_mask(rings, raster.height, raster.width),
        rings=rings,
        scene=scene,
        vehicles=_scaled(scene.vehicles, across, down),
        ignored=_scaled(scene.ignored, across, down),
        zoom=1.0 if scene.gsd else annotated_gsd(scene) / gsd,
    )


def _scaled(rings: Sequence[Ring], across: float, down: float) -> tuple[Ring, ...]:
    return tuple(tuple((x * across, y * down) for x, y in ring) for ring in rings)
