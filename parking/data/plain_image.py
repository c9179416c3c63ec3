"""PNG, JPEG and WebP: pictures that say nothing of where on Earth they lie."""

import io
import struct

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from parking.data.exif import day_taken, orientation_of, upright
from parking.data.raster import Raster, check_size, masked
from parking.errors import ImageError

_FORMATS = ("PNG", "JPEG", "WEBP")
_XMP = ("xmp", "XML:com.adobe.xmp")
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)
"""What decoders raise at damaged files."""

# Pillow's own limit warns first and raises later; ours is stricter, a setting, and checked before decoding.
Image.MAX_IMAGE_PIXELS = None


def read_plain(data: bytes, name: str, max_megapixels: float) -> Raster:
    """Decode a PNG, JPEG or WebP; raises as `parking.data.imagery.read_raster` does."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            check_size(name, image.width, image.height, max_megapixels)
            image.load()
            return _decoded(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"'{name}' is not a PNG, JPEG, WebP or TIFF image ({len(data)} bytes). Convert it to one of these."
        ) from error
    except UNDECODABLE as error:
        raise ImageError(f"'{name}' is damaged and cannot be decoded: {error}. Export or copy it again.") from error


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an (H, W, 3) RGB or (H, W) grey image."""
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(".png", stored)
    if not done:
        raise ImageError(f"An image of shape {pixels.shape} cannot be written as PNG.")
    return encoded.tobytes()


def _decoded(image: Image.Image, name: str) -> Raster:
    # Pillow would turn the image by its XMP too, which browsers do not, and whose images have been turned already.
    packets = [image.info.pop(key, None) for key in _XMP]
    orientation = orientation_of(image.getexif)
    taken = day_taken(lambda: image.getexif().get_ifd(ExifTags.IFD.Exif), next(filter(None, packets), None))
    pixels, mask = _to_rgb(image)
    raster = Raster(np.ascontiguousarray(upright(pixels, orientation)), name=name, acquired=taken)
    return masked(raster, None if mask is None else np.ascontiguousarray(upright(mask, orientation)))


def _to_rgb(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    if image.mode.startswith("I"):
        # 16-bit grey: a PNG uses the full range, so the high byte is the 8-bit image.
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2), None
    if image.has_transparency_data:
        # The colours hidden under full transparency are arbitrary: map tiles have "no data" so.
        pixels = np.asarray(image.convert("RGBA"), dtype=np.uint8)
        return np.ascontiguousarray(pixels[:, :, :3]), pixels[:, :, 3] > 0
    return np.asarray(image.convert("RGB"), dtype=np.uint8), None
