"""PNG, JPEG and WebP: images without a position on Earth."""

import io
import struct
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from parking.data.exif import day_taken, orientation_of
from parking.data.raster import Decoding, Frame, Raster, check_size, from_decoded
from parking.data.resample import decoded_shape, shrink
from parking.data.stretch import measured, to_8_bits
from parking.errors import ImageError

__all__ = ["UNDECODABLE", "encode_png", "read_plain"]

_FORMATS = ("PNG", "JPEG", "WEBP")
_XMP = ("xmp", "XML:com.adobe.xmp")
_PNG_DEPTH = 24
"""Byte of a PNG that says how many bits a value has."""
_STRIP = 1 << 20
"""Pixels that are taken over from Pillow at once."""
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)
"""What decoders raise at damaged files."""

# Pillow's own limit warns first and raises later; ours is stricter, a setting, and checked before decoding.
Image.MAX_IMAGE_PIXELS = None


def read_plain(data: bytes, decoding: Decoding) -> Raster:
    """Decode a PNG, JPEG or WebP; raises as `parking.data.imagery.read_raster` does."""
    name = decoding.name
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            check_size(name, image.width, image.height, decoding.max_megapixels)
            return _decoded(image, data, decoding)
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


def _decoded(image: Image.Image, data: bytes, decoding: Decoding) -> Raster:
    # Pillow would turn the image by its XMP too, which browsers do not, and whose images have been turned already.
    packets = [image.info.pop(key, None) for key in _XMP]
    orientation = orientation_of(image.getexif)
    taken = day_taken(lambda: image.getexif().get_ifd(ExifTags.IFD.Exif), next(filter(None, packets), None))
    stretch = decoding.stretch
    frame = Frame(decoding.name, image.width, image.height, decoding.gsd)
    is_plain = not (_is_deep(data) or stretch or image.has_transparency_data)
    smaller = decoded_shape(frame, decoding.finest) if is_plain else None
    image.load()
    values, mask = _deep_values(data) if _is_deep(data) else _to_rgb(image, smaller)
    if values.dtype != np.uint8:
        stretch = stretch or measured(values, mask)
    return from_decoded(
        values.astype(np.uint8, copy=False) if stretch is None else to_8_bits(values, stretch),
        mask,
        replace(frame, stretch=stretch),
        acquired=taken,
        orientation=orientation,
        gsd=decoding.finest if smaller else None,
    )


def _to_rgb(image: Image.Image, smaller: tuple[int, int] | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Colours (H, W, 3), and where there are any."""
    if image.has_transparency_data:
        # The colours hidden under full transparency are arbitrary: map tiles have "no data" so.
        pixels = np.asarray(image.convert("RGBA"), dtype=np.uint8)
        return np.ascontiguousarray(pixels[:, :, :3]), pixels[:, :, 3] > 0

    # A strip at a time: Pillow has four bytes a pixel already, and each of its ways out makes two more copies.
    def rows(top: int, bottom: int) -> NDArray[np.uint8]:
        return np.asarray(image.crop((0, top, image.width, bottom)).convert("RGB"))

    if smaller:
        return shrink(rows, (image.height, image.width), smaller), None
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    at_once = max(1, _STRIP // image.width)
    for top in range(0, image.height, at_once):
        bottom = min(image.height, top + at_once)
        pixels[top:bottom] = rows(top, bottom)
    return pixels, None


def _is_deep(data: bytes) -> bool:
    """Whether this is a PNG of 16 bits."""
    return data.startswith(b"\x89PNG") and data[_PNG_DEPTH] == 16


def _deep_values(data: bytes) -> tuple[NDArray[np.uint16], NDArray[np.bool_] | None]:
    """By OpenCV, because Pillow has no colours of more than 8 bits."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise ValueError("its 16 bits cannot be read")
    values = np.atleast_3d(found).astype(np.uint16, copy=False)
    mask = values[:, :, 3] > 0 if values.shape[2] == 4 else None
    colours = values[:, :, [2, 1, 0]] if values.shape[2] >= 3 else values[:, :, [0, 0, 0]]
    return colours, mask
