"""TIFF images, and where on Earth they lie: all that needs GDAL."""

import math
import os
import warnings
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile

from parking.data.exif import parse_day
from parking.data.georeference import ground_pixel
from parking.data.plain_image import UNDECODABLE
from parking.data.raster import Raster, check_size, masked
from parking.errors import ImageError, ImageTooLargeError

# GDAL would take a twentieth of the machine's memory, which need not be the container's.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# A plain TIFF is welcome: it only has no GSD. Said here, once, before there are threads: `catch_warnings` exchanges the
# filters of the whole process, so that threads that decode would take them from each other.
warnings.filterwarnings("ignore", "Dataset has no geotransform")

_TAKEN = ("ACQUISITIONDATETIME", "EXIF_DateTimeOriginal")
"""Where GDAL keeps the day on which an image was taken."""
_MOST_BYTES = 12
"""Bytes that may be read for each pixel that an image may have: three bands of 32 bits."""
_STRIP = 256
"""Rows that are brought to 8 bits at once."""
_SAMPLE = 1_000_000
"""Values, about, by which the range of an image in float is judged."""


def read_tiff(data: bytes, name: str, max_megapixels: float) -> Raster:
    """Decode a TIFF from memory, by GDAL's GTiff driver and no other; raises as `read_raster` does."""
    try:
        with MemoryFile(data) as file, file.open(driver="GTiff") as dataset:
            check_size(name, dataset.width, dataset.height, max_megapixels)
            for rows, columns in dataset.block_shapes:
                check_size(name, columns, rows, max_megapixels)
            _check_bytes(dataset, name, max_megapixels)
            return _from_dataset(dataset, name)
    except (RasterioError, *UNDECODABLE) as error:
        raise ImageError(f"'{name}' is a TIFF that cannot be decoded: {error}. Export or copy it again.") from error


def _check_bytes(dataset: DatasetReader, name: str, max_megapixels: float) -> None:
    """A pixel may have hundreds of bands, or sixteen bytes a band: a limit on pixels alone limits no memory."""
    if any("complex" in kind for kind in dataset.dtypes):
        raise ImageError(f"'{name}' has complex values, as radar has. Export its brightness.")
    size = max(np.dtype(kind).itemsize for kind in dataset.dtypes)
    read = dataset.width * dataset.height * min(dataset.count, 3) * size
    together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    block = max(rows * columns for rows, columns in dataset.block_shapes) * together * size
    most = _MOST_BYTES * max_megapixels * 1e6
    if max(read, block) > most:
        raise ImageTooLargeError(
            f"'{name}' takes {max(read, block) / 1e6:.0f} MB to read, with {dataset.count} bands of {size} bytes; the "
            f"limit is {most / 1e6:.0f}. Export it as RGB with 8 bits, cut it into parts, or raise "
            "PARKING_MAX_MEGAPIXELS."
        )


def _from_dataset(dataset: DatasetReader, name: str) -> Raster:
    pixels, mask = _tiff_pixels(dataset)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    # Without a transform, as in a `.tfw` that was left behind, GDAL gives the identity: a place off Africa.
    placed = dataset.crs and not dataset.transform.is_identity
    pixel = ground_pixel(dataset.crs, dataset.transform, dataset.width, dataset.height) if placed else None
    raster = Raster(
        np.ascontiguousarray(pixels),
        name=name,
        gsd=pixel.gsd if pixel else None,
        acquired=day_taken(dataset),
        crs=dataset.crs if pixel else None,
        transform=dataset.transform if pixel else None,
    )
    return masked(raster, mask)


def day_taken(dataset: DatasetReader) -> date | None:
    """The day on which an image was taken, as far as it says.

    Not TIFF's own `DateTime`: that is when the file was last saved, and an old image would look fresh.
    """
    tags = {**dataset.tags(), **dataset.tags(ns="EXIF"), **dataset.tags(ns="IMAGERY")}
    return next((day for key in _TAKEN if (day := parse_day(tags.get(key)))), None)


def _tiff_pixels(dataset: DatasetReader) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    bands = _colour_bands(dataset)
    # The mask is read of all bands, so only where there is one.
    has_mask = any(MaskFlags.all_valid not in flags for flags in dataset.mask_flag_enums)
    known = dataset.dataset_mask() > 0 if has_mask else np.ones((dataset.height, dataset.width), bool)
    pixels = np.moveaxis(dataset.read(bands), 0, 2)
    try:
        palette = dataset.colormap(1) if len(bands) == 1 else None
    except ValueError:
        palette = None
    if palette:
        table = np.array([palette.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)
        coloured: NDArray[np.uint8] = table[pixels[:, :, 0]]
    else:
        coloured = _to_8_bits(pixels, known)
    return coloured, known


def _colour_bands(dataset: DatasetReader) -> list[int]:
    """Red, green and blue by what the file calls its bands, else the first three; or the one that there is."""
    if dataset.count < 3:
        return [1]
    named = {interpretation: band for band, interpretation in enumerate(dataset.colorinterp, 1)}
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    return [named[colour] for colour in colours] if named.keys() >= {*colours} else [1, 2, 3]


def _to_8_bits(values: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Keep the top 8 bits in use: sensors store 11 or 12 bits in 16, and the file does not say how many.

    Args:
        values: (H, W, C), of any type.
        known: (H, W), false where the file says that it has no data.
    """
    if values.dtype == np.uint8:
        return values
    with np.errstate(over="ignore"):
        return _in_strips(values, _factor(values, known))


def _in_strips(values: NDArray[Any], factor: float) -> NDArray[np.uint8]:
    out = np.empty(values.shape, np.uint8)
    # A strip at a time: an image can be large, and needs several copies in float.
    for top in range(0, len(values), _STRIP):
        strip = np.nan_to_num(values[top : top + _STRIP].astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        out[top : top + _STRIP] = strip.clip(0, 255 / factor) * factor
    return out


def _factor(values: NDArray[Any], known: NDArray[np.bool_]) -> float:
    """What brings values to 0 to 255: reflectance in 0 to 1 as a whole, all else by a power of two."""
    if np.issubdtype(values.dtype, np.floating):
        step = max(1, math.isqrt(values.size // _SAMPLE))
        sample = values[::step, ::step][known[::step, ::step]].astype(np.float32)
        sample = sample[np.isfinite(sample)]
        # Not the largest: one glint above 1 would leave the rest of an image in the dark.
        most = float(np.quantile(sample, 0.99)) if sample.size else 0.0
        if most <= 1.0:
            return 255.0
    else:
        most = float(values.max(initial=0, where=known[:, :, None]))
    return 0.5 ** max(0, math.ceil(math.log2(most + 1)) - 8)
