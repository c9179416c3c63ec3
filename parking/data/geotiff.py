"""TIFF images, by GDAL."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window

from parking.data.exif import parse_day
from parking.data.geolocation import geolocation_of
from parking.data.plain_image import UNDECODABLE
from parking.data.raster import Decoding, Frame, Raster, check_size, from_decoded
from parking.data.rendering import (
    Rendering,
    coloured,
    described,
    has_data_everywhere,
    has_deep_values,
    read_values,
    stretched,
)
from parking.data.resample import decoded_shape, shrink
from parking.data.stretch import Stretch, declared, extremes, measured
from parking.data.tiff_directory import TiffPicture, main_picture
from parking.errors import ImageError, ImageTooLargeError

__all__ = ["day_taken", "read_tiff"]

# GDAL's default is a twentieth of the machine's memory, which may be more than the container has.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# A TIFF without georeference is accepted. Filtered here, before threads start: `catch_warnings` is not thread-safe,
# since it exchanges the filters of the whole process.
warnings.filterwarnings("ignore", "Dataset has no geotransform")

_TAKEN = ("ACQUISITIONDATETIME", "EXIF_DateTimeOriginal")
"""GDAL's metadata with the day on which an image was taken; TIFF's own `DateTime` is when it was saved."""
_MOST_BYTES = 12
"""Limit of bytes to read, per pixel of the limit of pixels: three bands of 32 bits."""


def read_tiff(data: bytes, decoding: Decoding) -> Raster:
    """Decode a TIFF from memory, by GDAL's GTiff driver and no other; raises as `read_raster` does."""
    name, limit = decoding.name, decoding.max_megapixels
    try:
        picture = main_picture(data)
        if picture and picture.is_raw:
            raise ImageError(f"'{name}' is a raw photograph, as DNG has it. Develop it, and export a TIFF or JPEG.")
        with _opened(data, picture) as dataset:
            check_size(name, dataset.width, dataset.height, limit)
            for rows, columns in dataset.block_shapes:
                check_size(name, columns, rows, limit)
            _check_bytes(dataset, name, limit)
            return _decoded(dataset, picture, decoding)
    except (RasterioError, *UNDECODABLE) as error:
        raise ImageError(f"'{name}' is a TIFF that cannot be decoded: {error}. Export or copy it again.") from error


@contextmanager
def _opened(data: bytes, picture: TiffPicture | None) -> Iterator[DatasetReader]:
    """Open the main picture; GDAL alone opens the first, which may be a preview."""
    with MemoryFile(data) as file:
        if picture is None or picture.is_first:
            with file.open(driver="GTiff") as dataset:
                yield dataset
        else:
            with rasterio.open(f"GTIFF_DIR:off:{picture.offset}:{file.name}", driver="GTiff") as dataset:
                yield dataset


def _check_bytes(dataset: DatasetReader, name: str, max_megapixels: float) -> None:
    """Limit the bytes to read: a pixel may have hundreds of bands, or sixteen bytes per band."""
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


def _decoded(dataset: DatasetReader, picture: TiffPicture | None, decoding: Decoding) -> Raster:
    rendering = described(dataset)
    place = geolocation_of(dataset)
    frame = Frame(decoding.name, dataset.width, dataset.height, decoding.gsd or place.gsd, place.crs, place.transform)
    is_plain = decoding.stretch is None and rendering.palette is None and not has_deep_values(dataset, rendering)
    smaller = decoded_shape(frame, decoding.finest) if is_plain and has_data_everywhere(dataset) else None
    values, mask = _read_smaller(dataset, rendering, smaller) if smaller else read_values(dataset, rendering)
    rendering = _with_stretch(dataset, rendering, decoding.stretch, values, mask)
    return from_decoded(
        coloured(values, rendering),
        mask,
        replace(frame, stretch=rendering.stretch, warnings=(*place.warnings, *_several(picture))),
        acquired=day_taken(dataset) or (picture.taken if picture else None),
        # A transform refers to the pixels as they are stored.
        orientation=picture.orientation if picture and place.transform is None else 1,
        gsd=decoding.finest if smaller else None,
    )


def _with_stretch(
    dataset: DatasetReader,
    rendering: Rendering,
    stretch: Stretch | None,
    values: NDArray[np.generic],
    mask: NDArray[np.bool_] | None,
) -> Rendering:
    """The rendering with the caller's stretch, or for more than 8 bits with the declared or measured one."""
    if stretch is not None and rendering.palette is None:
        return replace(rendering, stretch=stretch)
    if has_deep_values(dataset, rendering):
        seen = measured(values, mask)
        tags = [dataset.tags(band) for band in rendering.bands]
        return stretched(rendering, declared(tags, extremes(values, mask), seen) or seen)
    return rendering


def _read_smaller(
    dataset: DatasetReader, rendering: Rendering, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], None]:
    """Values as `read_values` gives them, resampled strip by strip."""

    def rows(top: int, bottom: int) -> NDArray[np.uint8]:
        values, _ = read_values(dataset, rendering, Window(0, top, dataset.width, bottom - top))
        return values

    return shrink(rows, dataset.shape, shape), None


def _several(picture: TiffPicture | None) -> tuple[str, ...]:
    if picture is None or picture.alike < 2:
        return ()
    return (f"The file holds {picture.alike} pictures of this size: this is the answer for the first.",)


def day_taken(dataset: DatasetReader) -> date | None:
    """The day on which an image was taken, by GDAL's metadata; None if it is not known."""
    tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    return next((day for key in _TAKEN if (day := parse_day(tags.get(key)))), None)
