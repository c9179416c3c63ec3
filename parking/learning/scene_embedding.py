"""Features of a scene: what the first stages of a pretrained encoder say of it, before anything is learnt.

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
from parking.detection.contract import STRIDE
from parking.detection.scale import USUAL_GSD
from parking.learning.network import Normalisation, build_network
from parking.learning.recipe import Recipe
from parking.learning.scene_scale import PLACE_SIZE_M
from parking.learning.training_scenes import Sample

__all__ = ["COMPONENTS", "EmbeddingHeads", "Linear", "fit_heads", "scene_features"]

COMPONENTS = 8
"""Principal components that the inference log keeps of the features."""

_DEPTH = 3
"""Halvings up to the last stage that is used; later ones tell the size of places no better, measured out of fold."""

_RIDGE = 1.0
"""Penalty a feature and scene, of standardised features."""

_NOTHING = 1e-6
"""Standard deviation below which scenes do not differ in a direction."""

_SIZES = (0.7, 1.0, 1.4)
"""Sizes in which the features of a scene are computed to learn what texture says of its resolution."""

Features = NDArray[np.float64]
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
        """Features, float (N, 2C), of RGB tiles, uint8 (N, H, W, 3): mean and standard deviation of each channel."""
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
    """A linear model: `features @ weights + offset`."""

    weights: NDArray[np.float64]
    """(features, K)."""

    offset: NDArray[np.float64]
    """(K,)."""

    low: float = -math.inf
    """Smallest number that is given: unusual features must not lead beyond all that was learnt from."""

    high: float = math.inf
    """Largest number that is given."""

    def __call__(self, features: Features) -> NDArray[np.float64]:
        """(scenes, K)."""
        return np.clip(features @ self.weights + self.offset, self.low, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingHeads:
    """Linear models on the features of a tile, exported beside the maps."""

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


def scene_features(recipe: Recipe, samples: Sequence[Sample], zooms: Sequence[float] | None = None) -> Features | None:
    """The features of every scene, the mean over the tiles that the detector will cut; None without a stem.

    They depend on nothing that is learnt, so they are computed once however many trials and folds ask.

    Args:
        recipe: whose encoder is used.
        samples: the scenes.
        zooms: size at which each is read, in its own; left out, that of the recipe's ground resolution.
    """
    stem = stem_of(recipe)
    if stem is None:
        return None
    sizes = [sample.zoom for sample in samples] if zooms is None else zooms
    features = [_features_of(stem, sample, zoom, recipe) for sample, zoom in zip(samples, sizes, strict=True)]
    return np.array(features, np.float64)


_seen: WeakKeyDictionary[Sample, dict[tuple[Stem, float, int, int], NDArray[np.float64]]] = WeakKeyDictionary()


@torch.inference_mode()
def _features_of(stem: Stem, sample: Sample, zoom: float, recipe: Recipe) -> NDArray[np.float64]:
    seen, key = _seen.setdefault(sample, {}), (stem, round(zoom, 4), recipe.tile, recipe.overlap)
    if key not in seen:
        height, width = sample.pixels.shape[:2]
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(sample.pixels, size, interpolation=method).astype(np.uint8, copy=False)
        tiles = cut_tiles(pixels, recipe.tile, recipe.overlap, STRIDE)
        features = [stem(torch.from_numpy(cut[None])).numpy()[0] for cut in tiles]
        seen[key] = np.asarray(np.mean(features, axis=0, dtype=np.float64))
    return seen[key]


def fit_heads(recipe: Recipe, samples: Sequence[Sample]) -> EmbeddingHeads | None:
    """Both linear models, fitted to scenes; None where the encoder starts from nothing."""
    stem, features = stem_of(recipe), scene_features(recipe, samples)
    if stem is None or features is None:
        return None
    return EmbeddingHeads(stem, fit_size(recipe, samples), fit_principal_components(features))


def fit_size(recipe: Recipe, samples: Sequence[Sample]) -> Linear | None:
    """The log of the size of a usual place in pixels, from the features of its scene, by ridge regression.

    Each scene is read in several sizes round the one that the detector first takes it to have, so that images of many
    resolutions are learnt from.

    Args:
        recipe: whose encoder is used.
        samples: the scenes; one whose file says its resolution teaches nothing of guessing it.

    Returns:
        One number a scene, between the smallest and the largest that were learnt from; None for too few scenes.
    """
    kept = [sample for sample in samples if not sample.scene.gsd]
    if len(kept) < COMPONENTS:
        return None
    seen = [(sample, USUAL_GSD / recipe.gsd * by) for sample in kept for by in _SIZES]
    features = scene_features(recipe, [sample for sample, _ in seen], [zoom for _, zoom in seen])
    if features is None:
        return None
    # At the recipe's resolution a place has its usual size; a sample has `zoom` pixels there for each of its own.
    sizes = np.log([PLACE_SIZE_M / recipe.gsd / sample.zoom * zoom for sample, zoom in seen])
    return _ridge(features, sizes)


def fit_principal_components(features: Features) -> Linear:
    """The directions in which scenes differ most, each in standard deviations (principal components, whitened).

    Fewer scenes than directions leave the rest at 0.
    """
    # Imported late: a second that whoever only reads features need not wait.
    from sklearn.decomposition import PCA

    middle, deviation = _standard(features)
    count = min(COMPONENTS, *features.shape)
    with np.errstate(invalid="ignore"):  # of one scene there is no variance, and none is used below
        fitted = PCA(count, svd_solver="full").fit((features - middle) / deviation)
    # Of the scenes that there are: `explained_variance_` is an estimate for more.
    scale = fitted.singular_values_ / np.sqrt(len(features))
    axes = fitted.components_ * np.sign(fitted.components_.sum(axis=1, keepdims=True) + 1e-12)
    whitened = np.where(scale[:, None] > _NOTHING, axes / np.maximum(scale[:, None], _NOTHING), 0.0)
    weights = np.zeros((features.shape[1], COMPONENTS))
    weights[:, :count] = (whitened / deviation).T
    return Linear(weights, -middle @ weights)


def _ridge(features: Features, values: NDArray[np.float64]) -> Linear:
    # Imported late, as above.
    from sklearn.linear_model import Ridge

    middle, deviation = _standard(features)
    fitted = Ridge(_RIDGE * features.shape[1]).fit((features - middle) / deviation, values)
    weights = fitted.coef_ / deviation
    offset = np.array([fitted.intercept_ - middle @ weights])
    return Linear(weights[:, None], offset, float(values.min()), float(values.max()))


def _standard(features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each, the latter never 0: a feature that never varies says nothing."""
    return features.mean(axis=0), features.std(axis=0) + 1e-3
