"""The look of a scene: what the first stages of a pretrained encoder see of it, before anything is learnt.

They see texture: how fine the ground is drawn, how dense cars and lines are. That tells how large places are where
nobody recorded the ground resolution, and whether scenes look like those that a model was trained on. The stages stay
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
from parking.learning.network import Normalisation, build_network
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample

COMPONENTS = 8
"""Numbers that a look is told by in the inference log."""

_DEPTH = 3
"""Halvings of the last stage looked at; later ones tell the size of places no better, measured out of fold."""

_RIDGE = 1.0
"""Penalty a feature and scene, of standardised features."""

_MOST_PLACES = 15
"""Places from which a scene's median size is as sure as it will be."""

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


def looks_of(recipe: Recipe, samples: Sequence[Sample]) -> Looks | None:
    """The look of every scene, the mean over the tiles that the detector will cut; None without a stem.

    It depends on nothing that is learnt, so a scene is looked at once however many trials and folds ask.
    """
    stem = stem_of(recipe)
    if stem is None:
        return None
    return np.array([_look(stem, sample, recipe.tile, recipe.overlap) for sample in samples], np.float64)


_seen: WeakKeyDictionary[Sample, dict[tuple[Stem, int, int], NDArray[np.float64]]] = WeakKeyDictionary()


@torch.inference_mode()
def _look(stem: Stem, sample: Sample, tile: int, overlap: int) -> NDArray[np.float64]:
    seen, key = _seen.setdefault(sample, {}), (stem, tile, overlap)
    if key not in seen:
        tiles = cut_tiles(sample.pixels, tile, overlap)
        looks = [stem(torch.from_numpy(cut[None])).numpy()[0] for cut in tiles]
        seen[key] = np.asarray(np.mean(looks, axis=0, dtype=np.float64))
    return seen[key]


def learn_glance(recipe: Recipe, samples: Sequence[Sample]) -> Glance | None:
    """What scenes teach of their look; None where the encoder starts from nothing."""
    stem, looks = stem_of(recipe), looks_of(recipe, samples)
    if stem is None or looks is None:
        return None
    return Glance(stem, learn_size(looks, samples), learn_components(looks))


def learn_size(looks: Looks, samples: Sequence[Sample]) -> Linear | None:
    """The log of the size of places in pixels, from the look of their scene, by ridge regression.

    The size of a scene's places is the root of the area of a rectangle round its median outline.

    Args:
        looks: of the scenes.
        samples: the scenes; one without places teaches nothing.

    Returns:
        One number a scene, between the smallest and the largest that were learnt from; None where too few scenes have
        places.
    """
    kept = [n for n, sample in enumerate(samples) if sample.rings]
    if len(kept) < COMPONENTS:
        return None
    sizes = np.log([median_size(samples[n]) for n in kept])
    trust = np.sqrt([min(len(samples[n].rings), _MOST_PLACES) for n in kept])
    return _ridge(looks[kept], sizes, trust / trust.mean())


def usual_size(samples: Sequence[Sample]) -> float:
    """The geometric mean of the scenes' sizes, in pixels; 1 where there is no place at all."""
    sizes = [median_size(sample) for sample in samples if sample.rings]
    return float(np.exp(np.mean(np.log(sizes)))) if sizes else 1.0


def median_size(sample: Sample) -> float:
    """Root of the area of the rectangle round a scene's median outline, in pixels; it has at least one."""
    sides = [cv2.minAreaRect(np.array(ring, np.float32))[1] for ring in sample.rings]
    return float(np.sqrt(max(float(np.median([a * b for a, b in sides])), 1.0)))


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
