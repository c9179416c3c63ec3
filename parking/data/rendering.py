"""How the values of a source become 8-bit RGB, the same for every window of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from parking.data.stretch import Stretch, declared, extremes, measured, sampling_step, to_8_bits, usable
from parking.errors import ImageError

__all__ = [
    "Rendering",
    "coloured",
    "described",
    "has_data_everywhere",
    "has_deep_values",
    "read_values",
    "render",
    "rendering_of",
    "stretch_of",
    "stretched",
]

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_CMYK = (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black)
_COLOURS = {"red", "green", "blue"}
_NO_COLOUR = re.compile("edge|nir|infra|swir|thermal", re.IGNORECASE)

_AT_ONCE = 64e6
"""Pixels of a source beyond which it is judged by patches of it."""
_ROWS = 512
"""Rows that are read together."""
_PATCHES, _PATCH = 8, 128
"""Patches along either side, and the pixels along the side of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """How the values of a source become 8-bit RGB. It is small, and can be sent to another process."""

    bands: tuple[int, ...]
    """Which are read, from 1: red, green and blue; the one of a grey or palette image; or the four of a print."""

    palette: NDArray[np.uint8] | None = None
    """(N, 3), the colours that the values of the one band stand for."""

    full: int = 255
    """The largest value of a band of 8 bits or less, and of any print."""

    white_is_zero: bool = False
    """Whether the smallest of the values of more than 8 bits are the lightest."""

    stretch: Stretch | None = None
    """For values of more than 8 bits."""


def rendering_of(dataset: DatasetReader, stretch: Stretch | None = None) -> Rendering:
    """How a source is to be rendered, judged by the whole of it: neighbouring windows must look alike.

    Reads the whole, of which it keeps a sample, where it is small, else patches from all over it: the values alone
    decide, so a file with overviews, one without, and the same cut in many are rendered alike.

    Args:
        dataset: open, of any size.
        stretch: what a caller wants, instead of what the values suggest.

    Raises:
        ImageError: its values are complex.
    """
    rendering = described(dataset)
    if rendering.palette is not None or (stretch is None and not has_deep_values(dataset, rendering)):
        return rendering
    if stretch is not None:
        return replace(rendering, stretch=stretch)
    return stretched(rendering, stretch_of(dataset, rendering))


def stretch_of(dataset: DatasetReader, rendering: Rendering) -> Stretch:
    """The stretch that the values of a source suggest, or that it declares as a part of a larger whole."""
    values, mask, corners, range_of_all = _sampled(dataset, rendering)
    seen = measured(values, mask, corners)
    tags = [dataset.tags(band) for band in rendering.bands]
    return (declared(tags, range_of_all, seen) if range_of_all else None) or seen


def described(dataset: DatasetReader) -> Rendering:
    """What the file says of its bands, without a look at their values.

    Raises:
        ImageError: its values are complex.
    """
    if any("complex" in kind for kind in dataset.dtypes):
        raise ImageError(f"'{dataset.name}' has complex values, as radar has. Export its brightness.")
    bands = _colour_bands(dataset)
    white_is_zero = dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
    if len(bands) == 1 and (palette := _palette(dataset, bands[0], white_is_zero)) is not None:
        return Rendering(bands, palette)
    kind = np.dtype(dataset.dtypes[bands[0] - 1])
    bits = int(dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", kind.itemsize * 8))
    full = 2**bits - 1 if kind == np.uint8 or len(bands) == len(_CMYK) else 255
    return Rendering(bands, full=full, white_is_zero=white_is_zero)


def stretched(rendering: Rendering, found: Stretch) -> Rendering:
    """The rendering with the stretch that its values suggest."""
    if rendering.white_is_zero:
        found = replace(found, low=found.high, high=found.low)
    return replace(rendering, stretch=found)


def has_deep_values(dataset: DatasetReader, rendering: Rendering) -> bool:
    """Whether its values are not simply 0 to 255, so that somebody has to say which are black and white."""
    is_picture = rendering.palette is not None or len(rendering.bands) == len(_CMYK)
    return not is_picture and any(dataset.dtypes[band - 1] != "uint8" for band in rendering.bands)


def has_data_everywhere(dataset: DatasetReader) -> bool:
    """Whether the file declares no pixel to be without data."""
    return all(MaskFlags.all_valid in flags for flags in dataset.mask_flag_enums)


def render(
    dataset: DatasetReader,
    rendering: Rendering,
    window: Window | None = None,
    out_shape: tuple[int, int] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Read a window as 8-bit RGB.

    Args:
        dataset: open.
        rendering: as `rendering_of` found it for the whole.
        window: the whole where it is left out.
        out_shape: (H, W) to reduce it to, by its overviews.

    Returns:
        Pixels, (H, W, 3), and where there is data, (H, W); None where there is data everywhere.
    """
    values, mask = read_values(dataset, rendering, window, out_shape)
    return coloured(values, rendering), mask


def read_values(
    dataset: DatasetReader,
    rendering: Rendering,
    window: Window | None = None,
    out_shape: tuple[int, int] | None = None,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The values of the bands that are rendered, (H, W, C), and where they are any, (H, W), or None for everywhere."""
    bands = list(rendering.bands)
    values = np.moveaxis(dataset.read(bands, window=window, out_shape=out_shape and (len(bands), *out_shape)), 0, 2)
    mask = _read_mask(dataset, bands, window, out_shape)
    if np.issubdtype(values.dtype, np.floating):
        valid = usable(values, mask)
        mask = None if valid.all() else valid
    return values, mask


def coloured(values: NDArray[Any], rendering: Rendering) -> NDArray[np.uint8]:
    """Values as `read_values` gives them in 8-bit RGB, (H, W, 3)."""
    if rendering.palette is not None:
        return np.asarray(rendering.palette[np.minimum(values[:, :, 0], len(rendering.palette) - 1)], np.uint8)
    if rendering.stretch is not None:
        pixels = to_8_bits(values, rendering.stretch)
    elif rendering.full != 255:
        pixels = (values.astype(np.uint32) * 255 // rendering.full).clip(0, 255).astype(np.uint8)
    else:
        pixels = values.astype(np.uint8, copy=False)
    if pixels.shape[2] == len(_CMYK):
        light = 255 - pixels.astype(np.uint16)
        pixels = (light[:, :, :3] * light[:, :, 3:] // 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def _read_mask(
    dataset: DatasetReader, bands: list[int], window: Window | None, out_shape: tuple[int, int] | None
) -> NDArray[np.bool_] | None:
    flags = [dataset.mask_flag_enums[band - 1] for band in bands]
    if all(MaskFlags.all_valid in one for one in flags):
        return None
    # One mask for all bands or, by nodata, one for each: what is nodata in one band alone is dark, and no hole.
    masks = bands[:1] if all(MaskFlags.per_dataset in one for one in flags) else bands
    read = dataset.read_masks(masks, window=window, out_shape=out_shape and (len(masks), *out_shape))
    mask: NDArray[np.bool_] = (read > 0).any(axis=0)
    return None if mask.all() else mask


def _colour_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Red, green and blue by the bands' descriptions, else by their interpretation, else the first three."""
    interpretations = {kind: band for band, kind in reversed([*enumerate(dataset.colorinterp, 1)])}
    if interpretations.keys() >= {*_CMYK}:
        return tuple(interpretations[ink] for ink in _CMYK)
    if (named := _named_bands(dataset.descriptions)) is not None:
        return named
    if interpretations.keys() >= {*_RGB}:
        return tuple(interpretations[colour] for colour in _RGB)
    others = [band for band, kind in enumerate(dataset.colorinterp, 1) if kind != ColorInterp.alpha] or [1]
    return tuple(others[:3] if len(others) >= 3 else others[:1])


def _named_bands(descriptions: Sequence[str | None]) -> tuple[int, ...] | None:
    """Where all three colours are named, as `Band 3 (Red)` or `B`: red edge and near infrared are none."""
    found: dict[str, int] = {}
    for band, description in enumerate(descriptions, 1):
        if description and not _NO_COLOUR.search(description):
            words = {word[0] if word in _COLOURS else word for word in re.findall("[a-z]+", description.lower())}
            for colour in words & {*"rgb"}:
                found.setdefault(colour, band)
    return (found["r"], found["g"], found["b"]) if len(found) == 3 and len({*found.values()}) == 3 else None


def _palette(dataset: DatasetReader, band: int, white_is_zero: bool) -> NDArray[np.uint8] | None:
    """The colours of a palette image; of a grey one of 8 bits or less, too, where 0 is white."""
    is_palette = dataset.colorinterp[band - 1] == ColorInterp.palette
    if not is_palette and not (white_is_zero and dataset.dtypes[band - 1] == "uint8"):
        return None
    try:
        colours = dataset.colormap(band)
    except ValueError:
        return None
    table = np.zeros((max(colours) + 1, 3), np.uint8)
    table[[*colours]] = [colour[:3] for colour in colours.values()]
    return table


def _sampled(
    dataset: DatasetReader, rendering: Rendering
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any], tuple[float, float] | None]:
    """Values from all over the source, where they are any, those of its corners; and the extremes if all were read."""
    height, width = dataset.shape
    corners = [
        read_values(dataset, rendering, Window(column, row, 1, 1))[0][0, 0]
        for row in (0, height - 1)
        for column in (0, width - 1)
    ]
    range_of_all: tuple[float, float] | None = None
    if height * width <= _AT_ONCE:
        # What `measured` would take of the whole, a strip at a time: a large image need not be in memory at once.
        step, rows = sampling_step(height * width), range(0, height, _ROWS)
        strips = [_strip(dataset, rendering, top, step) for top in rows]
        parts = [(values, mask) for values, mask, _ in strips]
        range_of_all = min(low for *_, (low, _) in strips), max(high for *_, (_, high) in strips)
    else:
        downs = np.linspace(0, max(0, height - _PATCH), _PATCHES).astype(int)
        acrosses = np.linspace(0, max(0, width - _PATCH), _PATCHES).astype(int)
        parts = [
            read_values(dataset, rendering, Window(column, row, min(_PATCH, width), min(_PATCH, height)))
            for row in downs.tolist()
            for column in acrosses.tolist()
        ]
    masks = [np.ones(values.shape[:2], bool) if mask is None else mask for values, mask in parts]
    return np.concatenate([values for values, _ in parts]), np.concatenate(masks), np.stack(corners), range_of_all


def _strip(
    dataset: DatasetReader, rendering: Rendering, top: int, step: int
) -> tuple[NDArray[Any], NDArray[np.bool_] | None, tuple[float, float]]:
    """Every `step`-th pixel both ways of some rows, and the extremes of all of them."""
    window = Window(0, top, dataset.width, min(_ROWS, dataset.height - top))
    values, mask = read_values(dataset, rendering, window)
    rows = slice(-top % step, None, step), slice(None, None, step)
    return values[rows].copy(), None if mask is None else mask[rows].copy(), extremes(values, mask)
