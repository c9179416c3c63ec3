"""Training crops at native resolution, more of them near free places than chance would give."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from parking.learning.augment import build_transforms
from parking.learning.losses import IGNORED
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

Crop = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_JITTER = 0.4
"""How far from a crop's centre, in sides of it, a chosen free pixel may lie."""


@dataclass(frozen=True, slots=True)
class View:
    """What a crop looks at in its scene."""

    x: float
    y: float
    """Pixel in the crop's centre."""

    turn: float
    """Radians by which the scene is turned."""

    zoom: float
    """Pixels of the crop for each of the scene."""


def cut(sample: Sample, view: View, size: int) -> Crop:
    """Cut a square out of a scene, turned and zoomed in one interpolation.

    Beyond the scene's edge the pixels are mirrored, as they are at prediction, and the labels do not count, as the
    answers there are thrown away at prediction.

    Returns:
        Pixels, uint8 (size, size, 3), and labels, uint8 (size, size): 1 free, 0 not, `IGNORED` outside the scene.
    """
    cosine, sine = np.cos(view.turn) / view.zoom, np.sin(view.turn) / view.zoom
    middle = (size - 1) / 2
    to_scene = np.array(
        [
            [cosine, -sine, view.x - middle * (cosine - sine)],
            [sine, cosine, view.y - middle * (sine + cosine)],
        ]
    )
    pixels = cv2.warpAffine(
        sample.pixels,
        to_scene,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    labels = cv2.warpAffine(
        sample.mask.view(np.uint8),
        to_scene,
        (size, size),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=IGNORED,
    )
    return pixels.astype(np.uint8, copy=False), labels.astype(np.uint8, copy=False)


class Crops(Dataset[Crop]):
    """The crops of a fit, from step `first` on. Crop number i is the same however many processes cut, or in which run.

    Args:
        samples: scenes to cut from.
        recipe: sizes, shares and strengths.
        first: step that the first crop belongs to.
    """

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, first: int = 0) -> None:
        self._samples = samples
        self._recipe = recipe
        self._first = first * recipe.batch
        self._transforms = build_transforms(recipe)
        self._free = [np.flatnonzero(sample.mask).astype(np.int32) for sample in samples]
        # By the root of what there is: large scenes count for more, and none drowns the others.
        self._place_odds = _odds([free.size**0.5 for free in self._free])
        self._ground_odds = _odds([sample.mask.size**0.5 for sample in samples])

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.batch - self._first

    def __getitem__(self, index: int) -> Crop:
        random = np.random.default_rng([self._recipe.seed, self._first + index])
        sample, view = self.choose(random)
        pixels, labels = cut(sample, view, self._recipe.crop)
        self._transforms.set_random_seed(int(random.integers(2**31)))
        changed = self._transforms(image=pixels, mask=labels)
        return np.ascontiguousarray(changed["image"]), np.ascontiguousarray(changed["mask"])

    def choose(self, random: np.random.Generator) -> tuple[Sample, View]:
        """A scene and where to look in it."""
        recipe = self._recipe
        low, high = np.log(recipe.scale_min), np.log(recipe.scale_max)
        zoom, turn = float(np.exp(random.uniform(low, high))), float(random.uniform(0, 2 * np.pi))
        side = recipe.crop / zoom
        near_place = self._place_odds is not None and random.random() < recipe.free_share
        odds = self._place_odds if near_place else self._ground_odds
        index = int(random.choice(len(self._samples), p=odds))
        sample = self._samples[index]
        height, width = sample.mask.shape
        if near_place:
            y, x = divmod(int(random.choice(self._free[index])), width)
            x, y = (c + random.uniform(-_JITTER, _JITTER) * side for c in (x, y))
        else:
            x, y = random.uniform(0, width), random.uniform(0, height)
        return sample, View(_kept(x, side, width), _kept(y, side, height), turn, zoom)


def _odds(sizes: Sequence[float]) -> NDArray[np.float64] | None:
    total = sum(sizes)
    return np.array(sizes) / total if total > 0 else None


def _kept(centre: float, side: float, length: int) -> float:
    """The centre, moved so that the crop stays in the scene where it fits, and in the middle where it does not."""
    if side >= length:
        return length / 2
    return float(np.clip(centre, side / 2, length - side / 2))
