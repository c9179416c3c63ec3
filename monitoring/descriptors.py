"""An image and its answer in about thirty numbers, because drift is measured on tables and not on images.

The same functions describe a scene at training time and a request in the service, so that the two compare. At most
512 x 512 pixels are measured, which takes a few milliseconds whatever the image's size.

A field of one of the three classes is a column of the inference log (`monitoring.schema`), of the verdict
(`monitoring.drift`) and of the report; its docstring is shown there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, with_config

from parking.detection.spots import Spot

__all__ = [
    "Descriptors",
    "EmbeddingDescriptors",
    "PredictionDescriptors",
    "describe",
    "describe_embedding",
    "describe_prediction",
    "meanings",
]

_MAX_SIDE_PX = 512
_DARK_PATCH_PX = 15
"""Side of the window whose darkest value is the dark channel; the paper's size."""

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)
"""Docstrings of the fields are shown in the report: see `meanings`."""


@with_config(_DOCUMENTED)
@dataclass(frozen=True, kw_only=True)
class Descriptors:
    """Numbers of an image, each with its unit."""

    luminance: float
    """Mean brightness, 0 (black) to 1: night and underexposure lower it."""
    luminance_spread: float
    """Standard deviation of the brightness, 0 to 0.5: haze and flat light lower it."""
    contrast: float
    """Brightness of the 95th percentile less that of the 5th, 0 to 1."""
    saturation: float
    """Mean distance of the colours from grey (HSV), 0 to 1: haze, winter and grey sensors lower it."""
    hue_spread: float
    """Circular variance of the hue, weighted by saturation, 0 (one colour) to 1: a colour cast lowers it."""
    sharpness: float
    """log10(1 + variance of the Laplacian of the brightness in grey levels): blur and upsampling lower it."""
    noise: float
    """Standard deviation of the sensor's noise, in grey levels of 255 (Immerkær, 1996)."""
    haze: float
    """Mean dark channel, 0 (clear) to 1 (nothing but veil) (He, Sun and Tang, 2009)."""
    greenness: float
    """Share of pixels whose excess green 2g - r - b is over 0.1: vegetation, so the season."""
    shadow_share: float
    """Share of pixels less than half as bright as the median: the height of the sun."""
    edge_density: float
    """Share of pixels on an edge (Canny): how built-up and how fine the ground is."""
    white_line_share: float
    """Share of pixels on thin bright lines, as road markings are."""
    megapixels: float
    """Size of the image, in million pixels."""


@with_config(_DOCUMENTED)
@dataclass(frozen=True, kw_only=True)
class PredictionDescriptors:
    """Numbers of an answer, each with its unit."""

    free_share: float
    """Share of pixels more likely free than not."""
    count: int
    """Free places found."""
    confidence_mean: float | None
    """Mean confidence of the places found, 0 to 1; unknown when there are none, which is no low confidence."""
    entropy: float
    """Mean binary entropy of the probability map, in bits a pixel: 0 (sure everywhere) to 1."""
    uncertain_share: float
    """Share of pixels with a probability between 0.2 and 0.8."""


@with_config(_DOCUMENTED)
@dataclass(frozen=True, kw_only=True)
class EmbeddingDescriptors:
    """Principal components of the encoder's first features, in standard deviations of the training; 0 is its mean.

    The features are mean and spread of the first stages' channels: texture, density, scale. Unknown where the model
    carries no embedding.
    """

    embedding_1: float | None = None
    """First principal component of the encoder's features, in standard deviations of the training."""
    embedding_2: float | None = None
    """Second principal component of the encoder's features, in standard deviations of the training."""
    embedding_3: float | None = None
    """Third principal component of the encoder's features, in standard deviations of the training."""
    embedding_4: float | None = None
    """Fourth principal component of the encoder's features, in standard deviations of the training."""
    embedding_5: float | None = None
    """Fifth principal component of the encoder's features, in standard deviations of the training."""
    embedding_6: float | None = None
    """Sixth principal component of the encoder's features, in standard deviations of the training."""
    embedding_7: float | None = None
    """Seventh principal component of the encoder's features, in standard deviations of the training."""
    embedding_8: float | None = None
    """Eighth principal component of the encoder's features, in standard deviations of the training."""


@cache
def meanings() -> dict[str, str]:
    """Meaning and unit of each column, by its name."""
    kinds: tuple[type, ...] = (Descriptors, PredictionDescriptors, EmbeddingDescriptors)
    columns = [TypeAdapter(kind).json_schema()["properties"] for kind in kinds]
    return {name: column["description"] for some in columns for name, column in some.items()}


def describe(pixels: NDArray[np.uint8]) -> Descriptors:
    """Describes an image.

    Colour and light are measured on a copy reduced to 512 pixels; noise, sharpness and lines on the middle of the
    image at its own resolution, because reducing averages them away.

    Args:
        pixels: (H, W, 3) RGB, uint8, any size from 1 x 1.
    """
    height, width = pixels.shape[:2]
    small = _reduced(pixels)
    light = _grey(small)
    grey = _grey(_middle(pixels))
    # Of 256 levels, percentiles are cheaper to count than to sort.
    levels = np.cumsum(np.bincount(light.ravel(), minlength=256)) / light.size
    low, median, high = np.searchsorted(levels, (0.05, 0.5, 0.95))
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.uint8, copy=False)
    return Descriptors(
        luminance=float(light.mean()) / 255,
        luminance_spread=float(light.std()) / 255,
        contrast=float(high - low) / 255,
        saturation=float(hsv[..., 1].mean()) / 255,
        hue_spread=_hue_spread(hsv),
        sharpness=float(np.log10(1 + cv2.Laplacian(grey, cv2.CV_32F).var())),
        noise=_noise(grey),
        haze=_haze(small),
        greenness=_greenness(small),
        shadow_share=float((light < median / 2).mean()),
        edge_density=float((cv2.Canny(grey, 100, 200) > 0).mean()),
        white_line_share=_white_line_share(grey),
        megapixels=height * width / 1e6,
    )


def describe_prediction(probability: NDArray[np.floating], spots: Sequence[Spot]) -> PredictionDescriptors:
    """Describes an answer.

    Args:
        probability: (H, W), chance of free parking in [0, 1].
        spots: the places found in it.
    """
    chance = _reduced(np.ascontiguousarray(probability, dtype=np.float32))
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    entropy = -(clipped * np.log2(clipped) + (1 - clipped) * np.log2(1 - clipped))
    return PredictionDescriptors(
        free_share=float((chance >= 0.5).mean()),
        count=len(spots),
        confidence_mean=float(np.mean([spot.confidence for spot in spots])) if spots else None,
        entropy=float(entropy.mean()),
        uncertain_share=float(((chance > 0.2) & (chance < 0.8)).mean()),
    )


def describe_embedding(embedding: Sequence[float]) -> EmbeddingDescriptors:
    """Names the components of an embedding; one of another length is unknown.

    Args:
        embedding: see `parking.detection.detection.Detection`.
    """
    names = [field.name for field in fields(EmbeddingDescriptors)]
    if len(embedding) != len(names):
        return EmbeddingDescriptors()
    return EmbeddingDescriptors(**dict(zip(names, embedding, strict=True)))


def _reduced(image: NDArray[Any]) -> NDArray[Any]:
    """The image with its longer side at most 512 pixels, by averaging."""
    height, width = image.shape[:2]
    scale = _MAX_SIDE_PX / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _middle(image: NDArray[Any]) -> NDArray[Any]:
    """At most 512 x 512 pixels from the middle of the image."""
    height, width = image.shape[:2]
    top, left = max(0, (height - _MAX_SIDE_PX) // 2), max(0, (width - _MAX_SIDE_PX) // 2)
    return np.ascontiguousarray(image[top : top + _MAX_SIDE_PX, left : left + _MAX_SIDE_PX])


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def _hue_spread(hsv: NDArray[np.uint8]) -> float:
    """Circular variance of the hue, each pixel weighing as much as it has colour."""
    weights = np.bincount(hsv[..., 0].ravel(), weights=hsv[..., 1].ravel(), minlength=180)
    if not weights.any():
        return 0.0
    angles = np.arange(180) * (np.pi / 90)  # OpenCV's hue counts in steps of two degrees.
    return 1 - float(np.hypot((weights * np.cos(angles)).sum(), (weights * np.sin(angles)).sum()) / weights.sum())


def _noise(grey: NDArray[np.uint8]) -> float:
    """Noise's standard deviation from a mask that is blind to edges and slopes.

    Source: J. Immerkær, "Fast noise variance estimation", CVIU 64(2), 1996.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, mask))
    return float(response.mean()) * float(np.sqrt(np.pi / 2)) / 6


def _haze(small: NDArray[np.uint8]) -> float:
    """Mean of the dark channel: in clear air nearly every patch holds something dark in some colour.

    Source: K. He, J. Sun, X. Tang, "Single image haze removal using dark channel prior", CVPR 2009.
    """
    red, green, blue = cv2.split(small)
    darkest = cv2.erode(cv2.min(cv2.min(red, green), blue), np.ones((_DARK_PATCH_PX, _DARK_PATCH_PX), np.uint8))
    return float(np.mean(darkest)) / 255


def _greenness(small: NDArray[np.uint8]) -> float:
    """Share of pixels that are green beyond their brightness (excess green on chromatic coordinates)."""
    channels = small.astype(np.int16)
    red, green, blue = channels[..., 0], channels[..., 1], channels[..., 2]
    return float((10 * (2 * green - red - blue) > red + green + blue).mean())


def _white_line_share(grey: NDArray[np.uint8]) -> float:
    """Share of pixels that a 5 x 5 top-hat keeps: brighter by 40 than all around, and thinner than 5 pixels."""
    return float((cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((5, 5), np.uint8)) > 40).mean())
