"""Targets of a network for a scene: a label map for each output, in which unannotated ground is ignored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from parking.data.polygons import Ring
from parking.data.snapshot import free_mask
from parking.detection.contract import MapName
from parking.detection.polygonize import polygons
from parking.learning.losses import IGNORED
from parking.learning.scene_scale import is_loose_box, sides, single_places
from parking.learning.training_scenes import Sample

__all__ = ["View", "cores_of", "mask_of", "view_of"]

Outline = Ring | NDArray[np.float64]
"""Corners in order, not closed."""

Labels = NDArray[np.uint8]
"""(H, W, K): 1 for the class, 0 for not, `IGNORED` for unknown."""

_MIDDLE = 0.2
"""Radius of what is surely vehicle in a box round a diagonal one, in the box's shorter sides."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A scene with its targets, at the recipe's ground resolution."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""

    labels: Labels
    """See `labels_of`."""


def view_of(sample: Sample, maps: Sequence[MapName], inset: float) -> View:
    """A scene scaled to the recipe's resolution, by the annotated one.

    Args:
        sample: the scene.
        maps: outputs of the network.
        inset: share of an outline's width that is taken away on each side to make its core.
    """
    height, width = sample.mask.shape
    size = max(1, round(width * sample.zoom)), max(1, round(height * sample.zoom))
    if size == (width, height):
        return View(sample.pixels, labels_of(sample, maps, inset, 1.0, 1.0, (height, width)))
    method = cv2.INTER_AREA if sample.zoom < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(sample.pixels, size, interpolation=method).astype(np.uint8, copy=False)
    return View(pixels, labels_of(sample, maps, inset, size[0] / width, size[1] / height, size[::-1]))


def labels_of(
    sample: Sample, maps: Sequence[MapName], inset: float, across: float, down: float, shape: tuple[int, int]
) -> Labels:
    """The label maps of a scene.

    What was not annotated in a scene is unknown there. Ground under a vehicle is not free, whatever was annotated, and
    no vehicle stands on a free place. An outline round a row says nothing of the cores in it.

    Args:
        sample: the scene.
        maps: outputs of the network.
        inset: see `view_of`.
        across: pixels of the labels for each of the scene's, along x.
        down: the same along y.
        shape: height and width of the labels.
    """
    scene = sample.scene
    drawn = _Drawing(shape, across, down, inset)
    single = single_places(scene)
    free, vehicle = drawn.mask(sample.rings), drawn.mask(sample.vehicles)
    loose = [ring for ring in sample.vehicles if is_loose_box(ring)]
    tight = [ring for ring in sample.vehicles if not is_loose_box(ring)]
    boxes, middles = drawn.mask(loose), drawn.middles(loose)
    knows = {"probability": "free" in scene.annotated, "vehicle": "vehicle" in scene.annotated}
    open_ = np.full(shape, IGNORED, np.uint8)
    layers: dict[MapName, NDArray[np.uint8]] = {
        "probability": free.astype(np.uint8) if knows["probability"] else np.where(vehicle & ~boxes, 0, open_),
        "vehicle": vehicle.astype(np.uint8) if knows["vehicle"] else np.where(free, 0, open_),
    }
    rows = drawn.mask([ring for ring, one in zip(sample.rings, single, strict=True) if not one])
    cores = drawn.cores(ring for ring, one in zip(sample.rings, single, strict=True) if one)
    layers["free_core"] = np.where(layers["probability"] == IGNORED, IGNORED, np.where(rows, IGNORED, cores))
    layers["vehicle_core"] = np.where(layers["vehicle"] == IGNORED, IGNORED, drawn.cores(tight))
    vehicle_maps: tuple[MapName, MapName] = ("vehicle", "vehicle_core")
    free_maps: tuple[MapName, MapName] = ("probability", "free_core")
    for name in vehicle_maps:
        layers[name] = np.where(middles, 1, np.where(boxes & ~drawn.mask(tight), IGNORED, layers[name]))
    for name in free_maps:
        layers[name] = np.where(middles, 0, layers[name])
    labels = np.stack([layers[name] for name in maps], axis=-1).astype(np.uint8)
    labels[drawn.mask(sample.ignored)] = IGNORED
    return labels


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Masks of outlines, at the size of the labels."""

    shape: tuple[int, int]
    across: float
    down: float
    inset: float

    def mask(self, rings: Iterable[Ring]) -> NDArray[np.bool_]:
        """(H, W), the pixels whose centre lies in one of them."""
        return mask_of([self._scaled(ring) for ring in rings], self.shape)

    def cores(self, rings: Iterable[Ring]) -> NDArray[np.bool_]:
        """(H, W), the pixels whose centre lies in the core of one of them."""
        return mask_of(cores_of([self._scaled(ring) for ring in rings], self.inset), self.shape)

    def middles(self, rings: Iterable[Ring]) -> NDArray[np.bool_]:
        """(H, W), a disc in the middle of each."""
        discs = []
        for ring in map(self._scaled, rings):
            middle = Polygon(ring).centroid.buffer(max(0.6, _MIDDLE * sides(ring)[1]))
            discs.append(tuple((float(x), float(y)) for x, y in middle.exterior.coords[:-1]))
        return mask_of(discs, self.shape)

    def _scaled(self, ring: Ring) -> Ring:
        return tuple((x * self.across, y * self.down) for x, y in ring)


def mask_of(rings: Sequence[Outline], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W), the pixels whose centre lies in one of the outlines."""
    return free_mask([tuple((float(x), float(y)) for x, y in ring) for ring in rings], *shape)


def cores_of(rings: Sequence[Outline], inset: float) -> list[Ring]:
    """The outlines drawn inwards by a share of their width; none of what is too thin."""
    inner = [Polygon(ring).buffer(0).buffer(-inset * sides(ring)[1], join_style="mitre") for ring in rings]
    parts = [part for shape in inner for part in polygons(shape)]
    return [tuple((float(x), float(y)) for x, y in part.exterior.coords[:-1]) for part in parts]
