"""Images in, rasters out: one reader for every format that we accept, and the changes of scale."""

import io
import struct
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from parking.errors import ImageError, ImageTooLargeError

Affine = tuple[float, float, float, float, float, float]
"""`x = a·column + b·row + c`, `y = d·column + e·row + f`, in the order (a, b, c, d, e, f)."""

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""File names that can be images of ours; what a file really is, its bytes decide."""

_PILLOW_FORMATS = ("PNG", "JPEG", "WEBP")
_UPRIGHT: dict[Hashable, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation. Pillow's own `exif_transpose` writes all other notes anew, and falls over a damaged one."""
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)

# Pillow's own limit warns first and raises later; ours is stricter, a setting, and checked before decoding.
Image.MAX_IMAGE_PIXELS = None

# A plain TIFF is welcome: it only has no GSD. Said here, once, before there are threads: `catch_warnings` exchanges the
# filters of the whole process, so that threads that decode would take them from each other.
warnings.filterwarnings("ignore", "Dataset has no geotransform")


@dataclass(frozen=True, slots=True)
class Raster:
    """An image of the ground.

    Attributes:
        pixels: (H, W, 3) RGB, 8 bits.
        name: what messages call it.
        gsd: ground sample distance in metres a pixel, None where the file does not say.
        acquired: the day that the file says it was taken; of a TIFF, the day that it was made.
        crs: coordinate reference system, as `EPSG:2154` or WKT.
        transform: affine from pixel corners to the CRS.
    """

    pixels: NDArray[np.uint8]
    name: str = "image"
    gsd: float | None = None
    acquired: date | None = None
    crs: str | None = None
    transform: Affine | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def read_raster(source: bytes | Path, *, name: str | None = None, max_megapixels: float = 64.0) -> Raster:
    """Decode a PNG, JPEG, WebP or (Geo)TIFF; grey, palette, alpha and 16 bits become 8-bit RGB.

    The number of pixels is checked on the header, before anything is decoded. Only a TIFF can say its GSD and CRS.

    Raises:
        ImageTooLargeError: more pixels than the limit.
        ImageError: not such an image, or damaged.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            source = source.read_bytes()
        except OSError as error:
            raise ImageError(f"'{name}' cannot be read: {error.strerror or error}. Check the path.") from error
    name = name or "image"
    if source.startswith(_TIFF_STARTS):
        # GDAL's bindings take half a second to import, and most images are no TIFF.
        from parking.data.geotiff import read_tiff

        return read_tiff(source, name, max_megapixels)
    return _read_plain(source, name, max_megapixels)


def _read_plain(data: bytes, name: str, max_megapixels: float) -> Raster:
    try:
        with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as image:
            check_size(name, image.width, image.height, max_megapixels)
            turn, acquired = _exif(image)
            upright = image if turn is None else image.transpose(turn)
            return Raster(_to_rgb(upright), name=name, acquired=acquired)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"'{name}' is not a PNG, JPEG, WebP or TIFF image ({len(data)} bytes). Convert it to one of these."
        ) from error
    except UNDECODABLE as error:
        raise ImageError(f"'{name}' is damaged and cannot be decoded: {error}. Export or copy it again.") from error


def check_size(name: str, width: int, height: int, max_megapixels: float) -> None:
    """Raises ImageTooLargeError where an image of this name has more pixels than the limit."""
    if width * height > max_megapixels * 1e6:
        raise ImageTooLargeError(
            f"'{name}' has {width} x {height} = {width * height / 1e6:.1f} megapixels; the limit is "
            f"{max_megapixels:g}. Cut it into parts, or raise PARKING_MAX_MEGAPIXELS."
        )


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        # 16-bit grey: a PNG uses the full range, so the high byte is the 8-bit image.
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        # Black is what map tiles use for "no data"; the colours hidden under full transparency are arbitrary.
        ground = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _exif(image: Image.Image) -> tuple[Image.Transpose | None, date | None]:
    """How the image has to be turned, and the day that it was taken, as far as its notes say."""
    turn = _UPRIGHT.get(_noted(image.getexif, ExifTags.Base.Orientation))
    # Not `DateTime`: that is when the file was last changed, and who saves an old image anew makes it look fresh.
    taken = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
    stamps = (_noted(lambda: image.getexif().get_ifd(ExifTags.IFD.Exif), tag) for tag in taken)
    return turn, next((day for stamp in stamps if (day := parse_date(stamp))), None)


def _noted(read_notes: Callable[[], Mapping[int, object]], tag: int) -> Hashable:
    """One note; none where it is missing, or damaged: Pillow decodes each as it is asked for."""
    try:
        found = read_notes().get(tag)
    except Exception:  # noqa: BLE001 - a camera's notes may be damaged in any way; the picture is what matters
        return None
    return found if isinstance(found, Hashable) else None


def parse_date(stamp: object) -> date | None:
    """The day that an EXIF or TIFF time stamp names; None where it names none."""
    try:
        return datetime.strptime(str(stamp)[:10], "%Y:%m:%d").date()  # noqa: DTZ007 - EXIF has no time zone
    except ValueError:
        return None


def resample(raster: Raster, gsd: float, *, max_megapixels: float = 256.0) -> Raster:
    """The same ground at another ground resolution; the raster itself where its GSD is unknown or within 1 %.

    Raises:
        ImageTooLargeError: the result would pass the limit; the image is too coarse for this GSD.
    """
    if raster.gsd is None or abs(raster.gsd / gsd - 1) <= 0.01:
        return raster
    scale = raster.gsd / gsd
    width, height = max(1, round(raster.width * scale)), max(1, round(raster.height * scale))
    if width * height > max_megapixels * 1e6:
        raise ImageTooLargeError(
            f"'{raster.name}' has {raster.gsd:.3g} m a pixel; at {gsd:.3g} m it would have "
            f"{width * height / 1e6:.0f} megapixels, over {max_megapixels:g}. Give a finer or smaller image."
        )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(raster.pixels, (width, height), interpolation=method).astype(np.uint8, copy=False)
    transform = raster.transform and _rescale(raster.transform, raster.width / width, raster.height / height)
    return replace(raster, pixels=pixels, gsd=gsd, transform=transform)


def _rescale(transform: Affine, across: float, down: float) -> Affine:
    a, b, c, d, e, f = transform
    return (a * across, b * down, c, d * across, e * down, f)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an (H, W, 3) RGB or (H, W) grey image."""
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(".png", stored)
    if not done:
        raise ImageError(f"An image of shape {pixels.shape} cannot be written as PNG.")
    return encoded.tobytes()
