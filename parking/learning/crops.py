"""Training crops at the recipe's ground resolution, sampled more often near free places."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from parking.detection.contract import MapName
from parking.learning.augment import build_transforms
from parking.learning.losses import IGNORED
from parking.learning.pasting import vehicle_patches, with_vehicles
from parking.learning.recipe import Recipe
from parking.learning.targets import View, view_of
from parking.learning.training_scenes import Kind, Sample

__all__ = ["Crops"]

Crop = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_JITTER = 0.4
"""Largest distance of a chosen free pixel from the centre of a crop, in units of its side."""


_SHARES: dict[Kind, float] = {"streets": 0.5, "bays": 0.3, "vehicles": 0.2}
"""Relative frequency of crops from each kind of scene, so that a kind with many scenes does not dominate the others;
vehicles are learnt from few scenes."""


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a crop in its scene."""

    x: float
    y: float
    """Pixel in the crop's centre."""

    turn: float
    """Radians by which the scene is turned."""

    zoom: float
    """Pixels of the crop for each of the scene."""


def cut(scene: View, window: Window, size: int) -> Crop:
    """Cut a square out of a scene, with rotation and zoom in one interpolation.

    Beyond the edge of the scene the pixels are mirrored, and the labels are ignored, as the outputs there are at
    prediction.

    Returns:
        Pixels, uint8 (size, size, 3), and labels, uint8 (size, size, K), see `parking.learning.targets`; `IGNORED`
        outside the scene.
    """
    cosine, sine = np.cos(window.turn) / window.zoom, np.sin(window.turn) / window.zoom
    middle = (size - 1) / 2
    to_scene = np.array(
        [
            [cosine, -sine, window.x - middle * (cosine - sine)],
            [sine, cosine, window.y - middle * (sine + cosine)],
        ]
    )
    pixels = cv2.warpAffine(
        scene.pixels,
        to_scene,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    labels = cv2.warpAffine(
        scene.labels,
        to_scene,
        (size, size),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(IGNORED,) * 4,
    )
    # OpenCV drops the last axis where it is 1.
    labels = labels.reshape(size, size, -1)
    return pixels.astype(np.uint8, copy=False), labels.astype(np.uint8, copy=False)


class Crops(Dataset[Crop]):
    """The crops of a fit, from step `first` on. Crop number i is the same however many processes cut, or in which run.

    Args:
        samples: scenes to cut from.
        recipe: sizes, shares and strengths.
        first: step that the first crop belongs to.
    """

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, first: int = 0) -> None:
        self._recipe = recipe
        self._first = first * recipe.batch
        self._transforms = build_transforms(recipe)
        self._scenes = [view_of(sample, recipe.maps, recipe.inset) for sample in samples]
        self._taken = _with_vehicles(samples, self._scenes, recipe)
        self._free = [_pixels_of(scene, recipe, "probability") for scene in self._scenes]
        vehicles = [_pixels_of(scene, recipe, "vehicle") for scene in self._scenes]
        # If free places were not annotated, vehicles are what can be learnt.
        self._places = [free if free.size else taken for free, taken in zip(self._free, vehicles, strict=True)]
        # By the square root of the size: large scenes count for more, but do not dominate.
        kinds = [sample.kind for sample in samples]
        self._place_odds = _odds(kinds, [places.size**0.5 for places in self._places])
        self._ground_odds = _odds(kinds, [scene.labels[..., 0].size ** 0.5 for scene in self._scenes])

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.batch - self._first

    def __getitem__(self, index: int) -> Crop:
        random = np.random.default_rng([self._recipe.seed, self._first + index])
        scene, window = self.choose(random)
        pixels, labels = cut(scene, window, self._recipe.crop)
        self._transforms.set_random_seed(int(random.integers(2**31)))
        changed = self._transforms(image=pixels, mask=labels)
        return np.ascontiguousarray(changed["image"]), np.ascontiguousarray(changed["mask"])

    def choose(self, random: np.random.Generator) -> tuple[View, Window]:
        """A scene and the window to cut from it."""
        recipe = self._recipe
        low, high = np.log(recipe.scale_min), np.log(recipe.scale_max)
        zoom, turn = float(np.exp(random.uniform(low, high))), float(random.uniform(0, 2 * np.pi))
        side = recipe.crop / zoom
        near_place = self._place_odds is not None and random.random() < recipe.free_share
        odds = self._place_odds if near_place else self._ground_odds
        index = int(random.choice(len(self._scenes), p=odds))
        scene = self._scenes[index]
        height, width = scene.pixels.shape[:2]
        if near_place:
            y, x = divmod(int(random.choice(self._places[index])), width)
            x, y = (c + random.uniform(-_JITTER, _JITTER) * side for c in (x, y))
        else:
            x, y = random.uniform(0, width), random.uniform(0, height)
        if (taken := self._taken[index]) is not None and random.random() < recipe.pasted_share:
            scene = taken
        return scene, Window(_kept(x, side, width), _kept(y, side, height), turn, zoom)


def _pixels_of(scene: View, recipe: Recipe, name: MapName) -> NDArray[np.int32]:
    """Indices of the pixels of a class; empty if the network has no such output."""
    if name not in recipe.maps:
        return np.empty(0, np.int32)
    return np.flatnonzero(scene.labels[..., recipe.maps.index(name)] == 1).astype(np.int32)


def _with_vehicles(samples: Sequence[Sample], scenes: Sequence[View], recipe: Recipe) -> list[View | None]:
    """Each scene with vehicles pasted on some of its free places; None without such places or vehicles."""
    patches = vehicle_patches(samples, scenes, recipe.gsd) if recipe.pasted_share else []
    random = np.random.default_rng(recipe.seed)
    return [
        with_vehicles(sample, scene, patches, recipe.maps, recipe.inset, random) if patches and sample.rings else None
        for sample, scene in zip(samples, scenes, strict=True)
    ]


def _odds(kinds: Sequence[Kind], sizes: Sequence[float]) -> NDArray[np.float64] | None:
    """Sampling weights of the scenes: by size within their kind, and by share of each kind."""
    weights = np.array(sizes, np.float64)
    for kind in {*kinds}:
        own = np.array([one == kind for one in kinds])
        if total := float(weights[own].sum()):
            weights[own] *= _SHARES[kind] / total
    total = float(weights.sum())
    return weights / total if total > 0 else None


def _kept(centre: float, side: float, length: int) -> float:
    """The centre, moved so that the crop stays in the scene where it fits, and in the middle where it does not."""
    if side >= length:
        return length / 2
    return float(np.clip(centre, side / 2, length - side / 2))
