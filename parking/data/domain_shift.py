"""Simulated domain shifts of images (night, haze, snow), to test the monitoring."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Shift", "apply_shift"]

Shift = Literal["night", "haze", "season"]


def apply_shift(pixels: NDArray[np.uint8], shift: Shift, seed: int = 0) -> NDArray[np.uint8]:
    """An (H, W, 3) image as it would be taken at night, in haze, or with snow; strong, but realistic.

    Args:
        pixels: an image taken by day.
        shift: the kind.
        seed: decides the strength and the noise.
    """
    rng = np.random.default_rng(seed)
    image = np.asarray(pixels / 255, np.float32)
    match shift:
        case "night":
            changed = _night(image, rng)
        case "haze":
            changed = _haze(image, rng)
        case "season":
            changed = _snow(image, rng)
    bounded: NDArray[np.uint8] = (np.clip(changed, 0, 1) * 255).round().astype(np.uint8)
    return bounded


def _night(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Little light, from a few sodium lamps, and sensor noise."""
    height, width = image.shape[:2]
    glow = np.zeros((height, width), np.float32)
    reach = max(8, round(max(height, width) / 9))
    for _ in range(int(rng.integers(6, 12))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(glow, centre, reach // 3, 1.0, -1)
    glow = np.asarray(cv2.GaussianBlur(glow, (0, 0), reach / 2), np.float32)
    lamps = (glow / glow.max())[:, :, None] * np.array([1.0, 0.72, 0.36], np.float32)
    sky = float(rng.uniform(0.14, 0.22)) * np.array([0.75, 0.85, 1.15], np.float32)
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0.025, 0.04))
    return np.asarray(image**1.1 * (sky + 0.7 * lamps) + noise, np.float32)


def _haze(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Scattering by the air: pixels move towards the airlight, by varying amounts, and contrast is lost.

    Source of the model: E. J. McCartney, "Optics of the Atmosphere" (1976).
    """
    height, width = image.shape[:2]
    banks = cv2.resize(rng.random((4, 4), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    passing = np.clip(rng.uniform(0.3, 0.42) - 0.12 * np.asarray(banks), 0.12, 1)[:, :, None]
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.2))
    return np.asarray(soft * passing + np.array([0.78, 0.81, 0.85]) * (1 - passing), np.float32)


def _snow(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Winter: vegetation turns brown, snow lies off the driven ground, and the light is weak and bluish."""
    grey = image.mean(axis=2, keepdims=True)
    bare = (0.4 * image + 0.6 * grey) * np.array([1.04, 1.0, 0.94], np.float32)
    green = np.clip((image[:, :, 1:2] - image[:, :, ::2].mean(axis=2, keepdims=True)) * 12, 0, 1)
    height, width = image.shape[:2]
    drifts = np.asarray(cv2.resize(rng.random((24, 24), np.float32), (width, height), interpolation=cv2.INTER_CUBIC))
    cover = np.clip(green * 0.55 + (drifts[:, :, None] - 0.35) * green + rng.uniform(0.16, 0.28), 0, 0.92)
    snow = (0.62 + 0.38 * grey) * np.array([0.96, 0.98, 1.02], np.float32)
    return np.asarray(bare * (1 - cover) + snow * cover, np.float32)
