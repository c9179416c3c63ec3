"""Vehicles pasted onto free places: the same ground once free and once taken teaches what makes the difference."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.detection.contract import MapName
from parking.learning.scene_scale import is_loose_box, sides, single_places
from parking.learning.targets import View, cores_of, mask_of
from parking.learning.training_scenes import Sample

__all__ = ["vehicle_patches", "with_vehicles"]

_LENGTH_M, _WIDTH_M = (3.2, 6.1), (1.3, 3.1)
"""Sides of an outline that is one car; longer ones are lorries, or several."""

_FINER = 2
"""Pixels of a patch for each of the scene's: turned once more, it stays sharp."""

_SHARE = 0.4
"""Share of a scene's single free places that a vehicle is put on."""

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Frame:
    """A rectangle by its corner and its two directions."""

    corner: Points
    along: Points
    across: Points
    length: float
    width: float

    def moved(self, size: tuple[float, float], random: np.random.Generator) -> "_Frame":
        """A rectangle of another size in the middle of this one, shifted a little."""
        off = (
            self.along * random.uniform(-0.1, 0.1) * self.length
            + self.across * random.uniform(-0.08, 0.08) * self.width
        )
        middle = self.corner + (self.along * self.length + self.across * self.width) / 2 + off
        length, width = size
        along = -self.along if random.random() < 0.5 else self.along
        return _Frame(middle - (along * length + self.across * width) / 2, along, self.across, length, width)

    def corners(self) -> Points:
        """(4, 2), in order round the rectangle."""
        a, b = self.along * self.length, self.across * self.width
        return np.asarray(self.corner + np.array([np.zeros(2), a, a + b, b]), np.float64)

    def onto(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """The affine map from this rectangle to an image of a size (width, height)."""
        corner, a, b = self.corner, self.along * self.length, self.across * self.width
        here = np.array([corner, corner + a, corner + b], np.float32)
        return np.asarray(cv2.getAffineTransform(here, np.array([(0, 0), (size[0], 0), (0, size[1])], np.float32)))


def vehicle_patches(samples: Sequence[Sample], scenes: Sequence[View], gsd: float) -> list[NDArray[np.uint8]]:
    """Pictures of single vehicles, lying along their width, at twice the recipe's resolution.

    Args:
        samples: scenes with vehicles.
        scenes: the same, as they are learnt from.
        gsd: metres per pixel of `scenes`.
    """
    patches = []
    for sample, scene in zip(samples, scenes, strict=True):
        ratio = scene.pixels.shape[1] / sample.pixels.shape[1]
        for ring in sample.vehicles:
            length, width = (side * ratio * gsd for side in sides(ring))
            if is_loose_box(ring) or not (_LENGTH_M[0] < length < _LENGTH_M[1] and _WIDTH_M[0] < width < _WIDTH_M[1]):
                continue
            frame = _frame(np.array(ring) * ratio)
            size = (max(1, round(frame.length * _FINER)), max(1, round(frame.width * _FINER)))
            patch = cv2.warpAffine(
                scene.pixels, frame.onto(size), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
            patches.append(patch.astype(np.uint8, copy=False))
    return patches


def with_vehicles(
    sample: Sample,
    scene: View,
    patches: Sequence[NDArray[np.uint8]],
    maps: Sequence[MapName],
    inset: float,
    random: np.random.Generator,
) -> View:
    """A scene in which vehicles stand on some of its single free places.

    Args:
        sample: the scene.
        scene: the same, as it is learnt from.
        patches: of `vehicle_patches`, at least one.
        maps: outputs of the network.
        inset: see `parking.learning.targets`.
        random: chooses places and vehicles.
    """
    pixels, labels = scene.pixels.astype(np.float32), scene.labels.copy()
    ratio = scene.pixels.shape[1] / sample.pixels.shape[1]
    bright = float(scene.pixels.mean())
    placed = []
    for ring, single in zip(sample.rings, single_places(sample.scene), strict=True):
        if not single or random.random() > _SHARE:
            continue
        patch = patches[int(random.integers(len(patches)))]
        place = np.array(ring) * ratio
        size = patch.shape[1] / _FINER * random.uniform(0.9, 1.1), patch.shape[0] / _FINER * random.uniform(0.92, 1.08)
        frame = _frame(place).moved(size, random)
        light = float(np.clip(bright / 110, 0.6, 1.25)) * random.uniform(0.8, 1.15)
        _blend(pixels, patch.astype(np.float32) * light, frame)
        _mark(labels, maps, "probability", mask_of([place], labels.shape[:2]), 0)
        _mark(labels, maps, "free_core", mask_of([place], labels.shape[:2]), 0)
        placed.append(frame.corners())
    _mark(labels, maps, "vehicle", mask_of(placed, labels.shape[:2]), 1)
    _mark(labels, maps, "vehicle_core", mask_of(placed, labels.shape[:2]), 0)
    _mark(labels, maps, "vehicle_core", mask_of(cores_of(placed, inset), labels.shape[:2]), 1)
    return View(pixels.clip(0, 255).astype(np.uint8), labels)


def _mark(
    labels: NDArray[np.uint8], maps: Sequence[MapName], name: MapName, where: NDArray[np.bool_], value: int
) -> None:
    if name in maps:
        labels[..., maps.index(name)][where] = value


def _frame(ring: Points) -> _Frame:
    box = cv2.boxPoints(cv2.minAreaRect(ring.astype(np.float32))).astype(np.float64)
    edges = np.roll(box, -1, axis=0) - box
    lengths = np.linalg.norm(edges, axis=1)
    first = int(np.argmax(lengths[:2]))
    along = edges[first] / max(lengths[first], 1e-6)
    across = edges[(first + 1) % 4] / max(lengths[(first + 1) % 4], 1e-6)
    return _Frame(box[first], along, across, float(lengths[first]), float(lengths[(first + 1) % 4]))


def _blend(pixels: NDArray[np.float32], patch: NDArray[np.float32], frame: _Frame) -> None:
    """Draw a patch into an image, with soft edges."""
    height, width = patch.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    alpha[2 : height - 2, 3 : width - 3] = 1.0
    alpha = cv2.GaussianBlur(alpha, (5, 5), 1.2).astype(np.float32)
    size = pixels.shape[1], pixels.shape[0]
    back = cv2.invertAffineTransform(frame.onto((width, height)))
    opacity = cv2.warpAffine(alpha, back, size, flags=cv2.INTER_LINEAR)[..., None]
    drawn = cv2.warpAffine(patch, back, size, flags=cv2.INTER_LINEAR)
    pixels += (drawn - pixels) * opacity
