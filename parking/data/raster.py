"""A raster: the pixels of an image with what is known of them, as GIS people expect it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from parking.data.exif import upright
from parking.errors import ImageTooLargeError

if TYPE_CHECKING:
    from datetime import date

    from rasterio.crs import CRS  # at run time GDAL's bindings take half a second to import, and most images need none

    from parking.data.stretch import Stretch

__all__ = ["Decoding", "Frame", "Raster", "check_size", "from_decoded", "masked"]


@dataclass(frozen=True, slots=True)
class Raster:
    """An image of the ground.

    Attributes:
        pixels: (H, W, 3) RGB, 8 bits.
        name: what messages call it.
        gsd: ground sample distance in metres a pixel, the root of a pixel's area; None where the file does not say.
        acquired: the day that the file says it was taken.
        crs: coordinate reference system; None where the image lies nowhere on Earth.
        transform: affine from pixel corners to the CRS.
        mask: (H, W), true where there is data; None where there is data everywhere. Masked pixels have the mean colour
            of the others, so that no network takes them for black ground.
        stretch: how values of more than 8 bits became the pixels; None where they are as they were.
        warnings: what a reader of an answer must know of the image, a sentence each.
        file: the grid of the file's pixels, where the raster is smaller; None where they are the raster's own.
    """

    pixels: NDArray[np.uint8]
    name: str = "image"
    gsd: float | None = None
    acquired: date | None = None
    crs: CRS | None = None
    transform: Affine | None = None
    mask: NDArray[np.bool_] | None = None
    stretch: Stretch | None = None
    warnings: tuple[str, ...] = ()
    file: Frame | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """Left, bottom, right, top in the units of the CRS; None where the image lies nowhere."""
        if self.transform is None:
            return None
        a, b, c, d, e, f = self.transform[:6]
        columns, rows = np.array([0, self.width, 0, self.width]), np.array([0, 0, self.height, self.height])
        xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
        return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())

    @property
    def frame(self) -> Frame:
        """The image as its file has it, without its pixels: what answers are given in."""
        own = Frame(self.name, self.width, self.height, self.gsd, self.crs, self.transform, self.stretch, self.warnings)
        return self.file or own


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the pixels of an image lie, and what a reader of an answer must know of it; see `Raster`."""

    name: str
    width: int
    height: int
    gsd: float | None = None
    crs: CRS | None = None
    transform: Affine | None = None
    stretch: Stretch | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a file is to be decoded; see `parking.data.imagery.read_raster`."""

    name: str
    max_megapixels: float
    stretch: Stretch | None = None
    gsd: float | None = None
    finest: float | None = None


def from_decoded(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_] | None,
    frame: Frame,
    *,
    acquired: date | None,
    orientation: int = 1,
    gsd: float | None = None,
) -> Raster:
    """The raster of decoded pixels, turned upright.

    Args:
        pixels: (H, W, 3) as they lie in the file, or resampled.
        mask: (H, W), true where there is data; None where there is data everywhere.
        frame: the image in its file, before it is turned.
        acquired: the day on which it was taken.
        orientation: that of EXIF and TIFF, 1 to 8; 1 is upright.
        gsd: metres per pixel that the pixels were resampled to; None where they are the file's own.
    """
    if orientation >= 5:
        frame = replace(frame, width=frame.height, height=frame.width)
    raster = Raster(
        np.ascontiguousarray(upright(pixels, orientation)),
        name=frame.name,
        gsd=frame.gsd,
        acquired=acquired,
        crs=frame.crs,
        transform=frame.transform,
        stretch=frame.stretch,
        warnings=frame.warnings,
    )
    if gsd is not None:
        scale = Affine.scale(frame.width / raster.width, frame.height / raster.height)
        raster = replace(raster, gsd=gsd, transform=frame.transform and frame.transform @ scale, file=frame)
    return masked(raster, None if mask is None else np.ascontiguousarray(upright(mask, orientation)))


def masked(raster: Raster, mask: NDArray[np.bool_] | None) -> Raster:
    """The raster with data only where the mask is true, and the mean colour of that elsewhere.

    Args:
        raster: as it was decoded.
        mask: (H, W), true where there is data.
    """
    if mask is None or mask.all():
        return raster
    pixels = raster.pixels.copy()
    pixels[~mask] = raster.pixels[mask].mean(axis=0).round().astype(np.uint8) if mask.any() else 0
    return replace(raster, pixels=pixels, mask=mask)


def check_size(name: str, width: int, height: int, max_megapixels: float) -> None:
    """Raises ImageTooLargeError where an image of this name has more pixels than the limit."""
    if width * height > max_megapixels * 1e6:
        raise ImageTooLargeError(
            f"'{name}' has {width} x {height} = {width * height / 1e6:.1f} megapixels; the limit is "
            f"{max_megapixels:g}. Cut it into parts, or raise PARKING_MAX_MEGAPIXELS."
        )
