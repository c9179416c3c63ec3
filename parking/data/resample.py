"""Changes of scale: the same ground at another ground resolution."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from parking.data.raster import Frame, Raster
from parking.errors import ImageError, ImageTooLargeError

__all__ = ["decoded_shape", "resample", "shrink"]

_CLOSE = 0.01
"""Difference of scale that is not worth a resampling."""

_LARGE = 16_000_000
"""Pixels from which an image is resampled while it is decoded."""

_STRIP = 1 << 20
"""Pixels that are resampled at once then."""

_SHEAR = 3.0
"""Degrees off a right angle up to which pixels pass for rectangles."""

_LONGEST = 20.0
"""Length of a pixel over its width from which nothing can be read off the image."""


def resample(raster: Raster, gsd: float, *, max_megapixels: float = 256.0) -> Raster:
    """The same ground in square pixels of another size.

    Args:
        raster: returned as it is where its GSD is unknown, or its pixels are such squares within 1 %.
        gsd: metres a pixel.
        max_megapixels: limit for the result.

    Raises:
        ImageTooLargeError: the result would pass the limit; the image is too coarse for this GSD.
        ImageError: its pixels are no rectangles on the ground.
    """
    if raster.gsd is None:
        return raster
    across, down = pixel_size(raster, raster.gsd)
    if max(abs(across / gsd - 1), abs(down / gsd - 1)) <= _CLOSE:
        return raster
    width, height = max(1, round(raster.width * across / gsd)), max(1, round(raster.height * down / gsd))
    if width * height > max_megapixels * 1e6:
        raise ImageTooLargeError(
            f"'{raster.name}' has {raster.gsd:.3g} m a pixel; at {gsd:.3g} m it would have "
            f"{width * height / 1e6:.0f} megapixels, over {max_megapixels:g}. Give a finer or smaller image."
        )
    mask = None if raster.mask is None else _resize(raster.mask.astype(np.uint8) * 255, width, height) >= 128
    transform = raster.transform and Affine(*raster.transform[:6]) @ Affine.scale(
        raster.width / width, raster.height / height
    )
    pixels = _resize(raster.pixels, width, height)
    return replace(raster, pixels=pixels, gsd=gsd, transform=transform, mask=mask)


def decoded_shape(frame: Frame, finest: float | None) -> tuple[int, int] | None:
    """Height and width that a large image is to be decoded to: those of `resample`; None for its own.

    Args:
        frame: of the image; where its ground resolution is unknown, it keeps its size.
        finest: metres a pixel that are fine enough; None for all there is.

    Raises:
        ImageError: its pixels are no rectangles on the ground.
    """
    if not frame.gsd or not finest or frame.width * frame.height <= _LARGE:
        return None
    across, down = pixel_size(frame, frame.gsd)
    if min(across, down) * (1 + _CLOSE) > finest:
        return None
    return max(1, round(frame.height * down / finest)), max(1, round(frame.width * across / finest))


def shrink(
    read_rows: Callable[[int, int], NDArray[np.uint8]], shape: tuple[int, int], out_shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """An image in a smaller size, a strip at a time, so that it need never be in memory as a whole.

    Args:
        read_rows: gives the rows from the first number up to the second, (rows, W, C).
        shape: (H, W) of the image.
        out_shape: (h, w), none larger.

    Returns:
        (h, w, C), each pixel the mean of the area that it covers, as OpenCV's INTER_AREA has it, to a level.
    """
    (height, width), (out_height, out_width) = shape, out_shape
    factor = height / out_height
    at_once = max(1, int(_STRIP / width / factor))
    strips = []
    for top in range(0, out_height, at_once):
        edges = np.arange(top, min(out_height, top + at_once) + 1) * factor
        first, last = int(edges[0]), min(height, math.ceil(edges[-1]))
        rows = np.arange(first, last)
        # The share of each row in each strip of area, which begins and ends between rows.
        shares = np.minimum(edges[1:, None], rows + 1) - np.maximum(edges[:-1, None], rows)
        strip = read_rows(first, last).astype(np.float32)
        narrow = cv2.resize(strip, (out_width, len(rows)), interpolation=cv2.INTER_AREA).reshape(len(rows), -1)
        means = (shares.clip(0).astype(np.float32) / np.float32(factor)) @ narrow
        strips.append(np.rint(means).clip(0, 255).astype(np.uint8).reshape(-1, out_width, strip.shape[2]))
    return np.concatenate(strips)


def pixel_size(raster: Raster | Frame, gsd: float) -> tuple[float, float]:
    """Width and height of a raster's pixels in metres on the ground; squares where it lies nowhere.

    Args:
        raster: whose place gives the ratio of the two.
        gsd: root of a pixel's area in metres, which a caller may know better than the file.

    Raises:
        ImageError: they are no rectangles, or far from squares.
    """
    if raster.crs is None or raster.transform is None:
        return gsd, gsd
    # Imported late: PROJ is slow to import, and few images are georeferenced.
    from parking.data.georeference import ground_pixel

    pixel = ground_pixel(raster.crs, raster.transform, raster.width, raster.height)
    if pixel is None:
        return gsd, gsd
    ratio = pixel.across / pixel.down
    if pixel.shear > _SHEAR or not 1 / _LONGEST < ratio < _LONGEST:
        raise ImageError(
            f"'{raster.name}' has pixels of {pixel.across:.3g} x {pixel.down:.3g} m that stand {90 - pixel.shear:.0f} "
            "degrees to each other on the ground. Bring it to square pixels with `gdalwarp -t_srs` and a projection in "
            "metres, such as the UTM zone's."
        )
    return gsd * math.sqrt(ratio), gsd / math.sqrt(ratio)


def _resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Each axis by the method that suits it: means where it shrinks, cubic where it grows."""
    least = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    shrunk = cv2.resize(pixels, least, interpolation=cv2.INTER_AREA)
    if least == (width, height):
        return shrunk.astype(np.uint8, copy=False)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
