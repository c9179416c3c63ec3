"""From values of any type to 8 bits: which of them become black and white."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parking.errors import ImageError

__all__ = ["Stretch", "declared", "extremes", "measured", "parse_stretch", "sampling_step", "to_8_bits", "usable"]

_SAMPLE = 250_000
"""Pixels, about, by which the range of an image is judged."""

_PERCENTILES = (0.5, 2.0, 98.0, 99.5)
"""The outer two become black and white, as far as the inner two bear them out: hot pixels, glints and deep shade may be
all that lies beyond these."""

_BELOW, _ABOVE = 0.15, 0.4
"""How far the outer percentiles may lie beyond the inner ones, in the range between those."""

_USUALLY_BELOW, _USUALLY_ABOVE = 0.03, 0.21
"""How far they lie beyond in the images of 8 bits that the shipped model learnt from."""

_CONTRAST = 0.3
"""Range of a band, over the largest value, from which its darkest pixels pass for black: a plain lawn has none."""

_COLLAR = 0.005
"""Share of an image from which pixels of exactly a corner's value are taken for a collar without data."""

_REST = 0.05
"""Share of an image that a collar leaves; where less is left, the image is flat, and it is no collar."""

_UNSET = 1e30
"""Floats beyond it are no measurement: the largest float is a usual, and often undeclared, value for no data."""

_ALIKE = 3.0
"""How many times declared statistics may differ from what is seen before nobody believes them."""

_STRIP = 256
"""Rows that are brought to 8 bits at once."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A straight line from the values of a file to 0 to 255; what lies beyond is clipped."""

    low: float
    """Value that becomes 0."""

    high: float
    """Value that becomes 255."""

    source: Literal["caller", "percentiles", "statistics"] = "percentiles"
    """Who said so: the caller, the image's own percentiles, or the statistics that the file declares."""


def parse_stretch(text: str) -> Stretch:
    """The stretch that somebody gave as `low,high`.

    Raises:
        ImageError: these are no two numbers, the smaller first.
    """
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ImageError(f"A stretch of '{text}' cannot be: give two numbers, the smaller first, as in 0,4095.")
    return Stretch(low, high, "caller")


def measured(
    values: NDArray[Any], mask: NDArray[np.bool_] | None = None, corners: NDArray[Any] | None = None
) -> Stretch:
    """The stretch that gives an image the light of those that the shipped model learnt from.

    One for all bands, so that colours stay as they are.

    Args:
        values: (H, W, C) of any real type; a sample of them will do.
        mask: (H, W), true where there is data.
        corners: (N, C), the image's corner pixels; those of `values` where they are left out.
    """
    valid = usable(values, mask)
    if corners is None:
        corners = values[[0, 0, -1, -1], [0, -1, 0, -1]]
    step = sampling_step(valid.size)
    sample = values[::step, ::step][valid[::step, ::step]]
    if not sample.size:
        return Stretch(0.0, 1.0)
    sample = _without_collar(sample, corners)
    dark, low, high, light = (float(value) for value in np.percentile(sample, _PERCENTILES))
    contrast = float(np.ptp(np.percentile(sample, _PERCENTILES[1:3], axis=0), axis=0).mean())
    black = max(dark, low - _BELOW * (high - low))
    white = min(light, high + _ABOVE * (high - low))
    return _moderated(black, white, min(0.0, low), high, contrast)


def sampling_step(pixels: int) -> int:
    """How far apart, both ways, the pixels lie that an image of so many is judged by."""
    return max(1, int(np.sqrt(pixels / _SAMPLE)))


def declared(tags: Sequence[Mapping[str, str]], extremes: tuple[float, float], seen: Stretch) -> Stretch | None:
    """By the statistics that a file declares, where they are of a whole that the file is only a part of.

    Neighbours that were cut from one mosaic then look alike.

    Args:
        tags: of each band, as GDAL has them: `STATISTICS_MEAN` and its like.
        extremes: the least and the largest value of the part.
        seen: what the part's own values suggest. Statistics that a few hot pixels have spoilt are far from it.
    """
    names = ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")
    try:
        lows, highs, means, spreads = np.array([[float(one[f"STATISTICS_{name}"]) for name in names] for one in tags]).T
    except (KeyError, ValueError):
        return None
    least, most = extremes
    if not (lows.min() < least or most < highs.max()):
        return None
    mean = means.mean()
    spread = 2 * np.sqrt(max(0.0, (spreads**2 + means**2).mean() - mean**2))
    low, high = float(max(lows.min(), mean - spread)), float(min(highs.max(), mean + spread))
    black, white = low - _USUALLY_BELOW * (high - low), high + _USUALLY_ABOVE * (high - low)
    whole = _moderated(black, white, min(0.0, low), high, high - low)
    ratio = (whole.high - whole.low) / (seen.high - seen.low)
    return replace(whole, source="statistics") if 1 / _ALIKE <= ratio <= _ALIKE else None


def extremes(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[float, float]:
    """The least and the largest value, of (H, W, C), where there is data; infinite where there is none."""
    where = usable(values, mask)[:, :, None]
    if not where.any():
        return math.inf, -math.inf
    kind = np.iinfo(values.dtype) if np.issubdtype(values.dtype, np.integer) else np.finfo(values.dtype)
    # Without a copy: an image can be large.
    return float(values.min(where=where, initial=kind.max)), float(values.max(where=where, initial=kind.min))


def usable(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """(H, W), true where all bands hold a measurement."""
    valid = np.ones(values.shape[:2], bool) if mask is None else mask
    if np.issubdtype(values.dtype, np.floating):
        with np.errstate(invalid="ignore"):
            valid = valid & (np.abs(values) < _UNSET).all(axis=2)
    return valid


def to_8_bits(values: NDArray[Any], stretch: Stretch) -> NDArray[np.uint8]:
    """(H, W, C) of any real type in 8 bits; NaN becomes 0."""
    out = np.empty(values.shape, np.uint8)
    factor = np.float32(255 / (stretch.high - stretch.low))
    # A strip at a time: an image can be large, and needs several copies in float.
    for top in range(0, len(values), _STRIP):
        with np.errstate(over="ignore", invalid="ignore"):
            strip = (values[top : top + _STRIP].astype(np.float64) - stretch.low).astype(np.float32) * factor
        out[top : top + _STRIP] = np.nan_to_num(strip, posinf=255, neginf=0).clip(0, 255) + np.float32(0.5)
    return out


def _moderated(black: float, white: float, zero: float, high: float, contrast: float) -> Stretch:
    """The line from black to white, as far as there is contrast; else from zero to a usual place above the high values.

    Light scattered by the air lifts all values, and is taken off; but where there is no contrast, nobody knows by how
    much, and noise would pass for shade and light.
    """
    trust = min(1.0, contrast / (_CONTRAST * max(abs(zero), abs(high), 1e-9)))
    usual = high + _USUALLY_ABOVE * (high - zero)
    low, high = trust * black + (1 - trust) * zero, trust * white + (1 - trust) * usual
    return Stretch(low, high if high > low else low + 1.0)


def _without_collar(sample: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
    """(N, C) less what is no ground: a collar whose value nobody declared, and what blinded the sensor."""
    kept = np.ones(len(sample), bool)
    for value in np.unique(corners, axis=0):
        same = (sample == value).all(axis=1)
        if same.mean() >= _COLLAR:
            kept &= ~same
    if np.issubdtype(sample.dtype, np.integer):
        kept &= ~(sample == np.iinfo(sample.dtype).max).all(axis=1)
    return sample[kept] if kept.mean() > _REST else sample
