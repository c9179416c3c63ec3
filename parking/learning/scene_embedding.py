"""The look of a scene: what the first stages of a pretrained encoder see of it, before anything is learnt.

They see texture: how fine the ground is drawn, how dense cars and lines are. That tells the ground resolution where
nobody recorded it and vehicles are few, and whether scenes look like those that a model was trained on. The stages stay
as they came, so what is learnt from them on some folds says something honest of the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from timm.models.efficientnet import EfficientNetFeatures
from torch import Tensor, nn

from parking.data.tiles import cut_tiles
from parking.detection.detector import USUAL_GSD
from parking.learning.network import Normalisation, build_network
from parking.learning.recipe import Recipe
from parking.learning.scene_scale import PLACE_SIZE_M
from parking.learning.training_scenes import Sample

COMPONENTS = 8
"""Numbers that a look is told by in the inference log."""

_DEPTH = 3
"""Halvings of the last stage looked at; later ones tell the size of places no better, measured out of fold."""

_RIDGE = 1.0
"""Penalty a feature and scene, of standardised features."""

_SIZES = (0.7, 1.0, 1.4)
"""Sizes in which a scene is looked at to learn what texture says of its resolution."""

Looks = NDArray[np.float64]
"""(scenes, features)."""


class Stem(nn.Module):
    """The first stages of a recipe's encoder with their pretrained weights."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        whole = cast(nn.Module, build_network(recipe).encoder).state_dict()
        self.stages = smp.encoders.get_encoder(recipe.encoder, depth=_DEPTH, weights=None)
        nn.Module.load_state_dict(self.stages, {name: whole[name] for name in self.stages.state_dict()})
        _drop_what_follows(self.stages)
        self.normalise = Normalisation(recipe.encoder)
        self.eval()

    def forward(self, tiles: Tensor) -> Tensor:
        """Looks, float (N, 2C), of RGB tiles, uint8 (N, H, W, 3): mean and spread of each feature."""
        features = self.stages(self.normalise(tiles))[-1].flatten(2)
        mean = features.mean(dim=2)
        spread = ((features - mean[..., None]) ** 2).mean(dim=2).sqrt()
        return torch.cat([mean, spread], dim=1)


def _drop_what_follows(stages: nn.Module) -> None:
    """EfficientNets of timm run to their end, however few stages are asked of them: twice the time for nothing."""
    model = getattr(stages, "model", None)
    if isinstance(model, EfficientNetFeatures):
        model.blocks = model.blocks[: max(model._stage_out_idx)]


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Numbers that follow from a look: `looks @ weights + offset`."""

    weights: NDArray[np.float64]
    """(features, K)."""

    offset: NDArray[np.float64]
    """(K,)."""

    low: float = -math.inf
    """Smallest number that is given: what follows from an odd look must not be odder than all that was seen."""

    high: float = math.inf
    """Largest number that is given."""

    def __call__(self, looks: Looks) -> NDArray[np.float64]:
        """(scenes, K)."""
        return np.clip(looks @ self.weights + self.offset, self.low, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What an exported model says of a tile besides its probabilities."""

    stem: Stem
    size: Linear | None
    """To the log of the size of places in pixels."""

    components: Linear
    """To the embedding."""


def stem_of(recipe: Recipe) -> Stem | None:
    """The stem of a recipe; none where its encoder starts from nothing, and so sees nothing yet."""
    return _stem(recipe.encoder, recipe.encoder_weights, recipe.decoder_channels)


@lru_cache(maxsize=2)
def _stem(encoder: str, weights: str, decoder_channels: tuple[int, ...]) -> Stem | None:
    """Of what the weights depend on alone, for recipes that differ in their training to share it."""
    if weights == "none":
        return None
    return Stem(Recipe(encoder=encoder, encoder_weights=weights, decoder_channels=decoder_channels))


def looks_of(recipe: Recipe, samples: Sequence[Sample], zooms: Sequence[float] | None = None) -> Looks | None:
    """The look of every scene, the mean over the tiles that the detector will cut; None without a stem.

    It depends on nothing that is learnt, so a scene is looked at once however many trials and folds ask.

    Args:
        recipe: whose encoder looks.
        samples: the scenes.
        zooms: size at which each is looked at, in its own; left out, that of the recipe's ground resolution.
    """
    stem = stem_of(recipe)
    if stem is None:
        return None
    sizes = [sample.zoom for sample in samples] if zooms is None else zooms
    looks = [_look(stem, sample, zoom, recipe) for sample, zoom in zip(samples, sizes, strict=True)]
    return np.array(looks, np.float64)


_seen: WeakKeyDictionary[Sample, dict[tuple[Stem, float, int, int], NDArray[np.float64]]] = WeakKeyDictionary()


@torch.inference_mode()
def _look(stem: Stem, sample: Sample, zoom: float, recipe: Recipe) -> NDArray[np.float64]:
    seen, key = _seen.setdefault(sample, {}), (stem, round(zoom, 4), recipe.tile, recipe.overlap)
    if key not in seen:
        height, width = sample.pixels.shape[:2]
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(sample.pixels, size, interpolation=method).astype(np.uint8, copy=False)
        tiles = cut_tiles(pixels, recipe.tile, recipe.overlap)
        looks = [stem(torch.from_numpy(cut[None])).numpy()[0] for cut in tiles]
        seen[key] = np.asarray(np.mean(looks, axis=0, dtype=np.float64))
    return seen[key]


def learn_glance(recipe: Recipe, samples: Sequence[Sample]) -> Glance | None:
    """What scenes teach of their look; None where the encoder starts from nothing."""
    stem, looks = stem_of(recipe), looks_of(recipe, samples)
    if stem is None or looks is None:
        return None
    return Glance(stem, learn_size(recipe, samples), learn_components(looks))


def learn_size(recipe: Recipe, samples: Sequence[Sample]) -> Linear | None:
    """The log of the size of a usual place in pixels, from the look of its scene, by ridge regression.

    Each scene is looked at in several sizes round the one that the detector first takes it to have, so that images of
    many resolutions are learnt from.

    Args:
        recipe: whose encoder looks.
        samples: the scenes; one whose file says its resolution teaches nothing of guessing it.

    Returns:
        One number a scene, between the smallest and the largest that were learnt from; None for too few scenes.
    """
    kept = [sample for sample in samples if not sample.scene.gsd]
    if len(kept) < COMPONENTS:
        return None
    seen = [(sample, USUAL_GSD / recipe.gsd * by) for sample in kept for by in _SIZES]
    looks = looks_of(recipe, [sample for sample, _ in seen], [zoom for _, zoom in seen])
    if looks is None:
        return None
    # At the recipe's resolution a place has its usual size; a sample has `zoom` pixels there for each of its own.
    sizes = np.log([PLACE_SIZE_M / recipe.gsd / sample.zoom * zoom for sample, zoom in seen])
    return _ridge(looks, sizes, np.ones(len(seen)))


def learn_components(looks: Looks) -> Linear:
    """The directions in which scenes differ most, each in standard deviations (principal components, whitened).

    Fewer scenes than directions leave the rest at 0.
    """
    middle, spread = looks.mean(axis=0), looks.std(axis=0) + 1e-3
    _, strength, axes = np.linalg.svd((looks - middle) / spread, full_matrices=False)
    deviation = strength[:COMPONENTS] / np.sqrt(max(len(looks), 1))
    axes = axes[:COMPONENTS] * np.sign(axes[:COMPONENTS].sum(axis=1, keepdims=True) + 1e-12)
    scaled = np.where(deviation[:, None] > 1e-6, axes / np.maximum(deviation[:, None], 1e-6), 0.0)
    weights = np.zeros((looks.shape[1], COMPONENTS))
    weights[:, : len(scaled)] = (scaled / spread).T
    return Linear(weights, -middle @ weights)


def _ridge(looks: Looks, values: NDArray[np.float64], trust: NDArray[np.float64]) -> Linear:
    middle = np.average(looks, axis=0, weights=trust)
    spread = np.sqrt(np.average((looks - middle) ** 2, axis=0, weights=trust)) + 1e-3
    mean = np.average(values, weights=trust)
    rows = (looks - middle) / spread * np.sqrt(trust)[:, None]
    inner = rows @ rows.T + _RIDGE * looks.shape[1] * np.eye(len(rows))
    weights = rows.T @ np.linalg.solve(inner, (values - mean) * np.sqrt(trust)) / spread
    return Linear(weights[:, None], np.array([mean - middle @ weights]), float(values.min()), float(values.max()))
