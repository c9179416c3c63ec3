"""Augmentations of orientation and light, under which a free place stays one."""

from typing import Any, Protocol, cast

import albumentations

from parking.learning.recipe import Recipe

__all__ = ["build_transforms"]


class Transforms(Protocol):
    """The part of `albumentations.Compose` that is used."""

    def set_random_seed(self, seed: int | None) -> None:
        """Decide every later random choice."""

    def __call__(self, **data: Any) -> dict[str, Any]:  # noqa: ANN401
        """Change an image and its mask alike."""


def build_transforms(recipe: Recipe) -> Transforms:
    """The augmentations of a crop and its labels, called as `transforms(image=..., mask=...)`.

    Only flips and quarter turns move pixels here, and they move the labels along; any other rotation and the zoom are
    part of cutting the crop, see `parking.learning.crops`.
    """
    changes = _light(recipe.light) if recipe.light > 0 else []
    return cast(Transforms, albumentations.Compose([albumentations.D4(p=1.0), *changes]))


def _light(strength: float) -> list[albumentations.ImageOnlyTransform]:
    """Light, colour, shadow and sharpness, in the order of image formation; channels are never swapped."""
    shadow = albumentations.RandomShadow(
        shadow_roi=(0, 0, 1, 1), num_shadows_limit=(1, 2), shadow_intensity_range=(0.2, 0.3 + 0.4 * strength), p=0.3
    )
    return [shadow, *_exposure(strength), _colour(strength), _softness(strength), _grain(strength)]


def _exposure(strength: float) -> list[albumentations.ImageOnlyTransform]:
    low, high = round(100 / (1 + strength)), round(100 * (1 + strength))
    return [
        albumentations.RandomBrightnessContrast(0.6 * strength, 0.5 * strength, brightness_by_max=False, p=0.7),
        albumentations.RandomGamma((low, high), p=0.4),
    ]


def _colour(strength: float) -> albumentations.OneOf:
    return albumentations.OneOf(
        [
            albumentations.HueSaturationValue(round(16 * strength), round(70 * strength), 0),
            albumentations.RGBShift(*[round(36 * strength)] * 3),
            albumentations.ToGray(p=0.15),
        ],
        p=0.6,
    )


def _softness(strength: float) -> albumentations.OneOf:
    return albumentations.OneOf(
        [
            albumentations.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 0.6 + 1.6 * strength)),
            albumentations.Downscale((0.95 - 0.5 * strength, 0.95)),
            albumentations.ImageCompression(quality_range=(round(95 - 55 * strength), 95)),
            albumentations.Sharpen(alpha=(0.1, 0.2 + 0.4 * strength)),
        ],
        p=0.4,
    )


def _grain(strength: float) -> albumentations.GaussNoise:
    return albumentations.GaussNoise(std_range=(0.01, 0.02 + 0.06 * strength), per_channel=False, p=0.25)
