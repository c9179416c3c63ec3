"""Changes of scale: the same ground at another ground resolution."""

import math
from dataclasses import replace

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from parking.data.raster import Raster
from parking.errors import ImageError, ImageTooLargeError

_CLOSE = 0.01
"""Difference of scale that is not worth a resampling."""

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


def pixel_size(raster: Raster, gsd: float) -> tuple[float, float]:
    """Width and height of a raster's pixels in metres on the ground; squares where it lies nowhere.

    Args:
        raster: whose place gives the ratio of the two.
        gsd: root of a pixel's area in metres, which a caller may know better than the file.

    Raises:
        ImageError: they are no rectangles, or far from squares.
    """
    if raster.crs is None or raster.transform is None:
        return gsd, gsd
    # Here, because few images have a place on Earth, and PROJ takes its time to import.
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
