"""Images in, rasters out: one reader for every format that we accept."""

from pathlib import Path

from parking.data.plain_image import encode_png, read_plain
from parking.data.raster import Decoding, Raster
from parking.data.resample import resample
from parking.data.stretch import Stretch
from parking.errors import ImageError

__all__ = ["EXTENSIONS", "Raster", "Stretch", "encode_png", "read_raster", "resample"]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""File names that can be images of ours; what a file really is, its bytes decide."""

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
        name: what messages call it; the file's name by default.
        max_megapixels: limit for the image.
        stretch: which values become black and white, instead of what the values suggest. Images of 8 bits stay as they
            are without it.
        gsd: metres a pixel, where somebody knows better than the file.
        finest: metres a pixel that are fine enough. An opaque image of 8 bits and more than 16 megapixels that is known
            to be finer is resampled to it while it is decoded, which takes a fraction of the memory.

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
    decoding = Decoding(name or "image", max_megapixels, stretch, gsd, finest)
    if source.startswith(_TIFF_STARTS):
        # GDAL's bindings take half a second to import, and most images are no TIFF.
        from parking.data.geotiff import read_tiff

        return read_tiff(source, decoding)
    return read_plain(source, decoding)
