"""Reads images of every accepted format as rasters."""

from pathlib import Path

from parking.data.plain_image import encode_png, read_plain
from parking.data.raster import Decoding, Raster
from parking.data.resample import resample
from parking.data.stretch import Stretch
from parking.errors import ImageError

__all__ = ["EXTENSIONS", "Raster", "Stretch", "encode_png", "read_raster", "resample"]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Suffixes of accepted images; the format itself is recognised by the bytes."""

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_raster(
    source: bytes | Path,
    *,
    name: str | None = None,
    max_megapixels: float = 64.0,
    stretch: Stretch | None = None,
    gsd: float | None = None,
    finest: float | None = None,
) -> Raster:
    """Decode a PNG, JPEG, WebP or (Geo)TIFF; grey, palette, alpha and more than 8 bits become 8-bit RGB and a mask.

    The number of pixels is checked on the header, before anything is decoded. Only a TIFF can say its GSD and CRS.

    Args:
        source: a file, or the bytes of one.
        name: for messages; by default the name of the file.
        max_megapixels: limit for the image.
        stretch: values that become black and white, in place of percentiles. Without it, images of 8 bits are not
            stretched.
        gsd: metres per pixel, in place of the file's.
        finest: finest resolution that is needed, in metres per pixel. An opaque image of 8 bits and more than 16
            megapixels that is known to be finer is resampled to it while decoding, with a fraction of the memory.

    Raises:
        ImageTooLargeError: more pixels than the limit.
        ImageError: not an image of these formats, or damaged.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            source = source.read_bytes()
        except OSError as error:
            raise ImageError(f"'{name}' cannot be read: {error.strerror or error}. Check the path.") from error
    decoding = Decoding(name or "image", max_megapixels, stretch, gsd, finest)
    if source.startswith(_TIFF_STARTS):
        # Imported late: GDAL's bindings take half a second, and most images are no TIFF.
        from parking.data.geotiff import read_tiff

        return read_tiff(source, decoding)
    return read_plain(source, decoding)
