"""TIFFs as cameras, scanners and GIS write them, made tag by tag or by GDAL."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

Value = int | bytes | Sequence[int] | Sequence[float]
LAMBERT: dict[int, Value] = {
    33550: [0.2, 0.2, 0.0],
    33922: [0.0, 0.0, 0.0, 700_000.0, 6_600_000.0, 0.0],
    34735: [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 2154],
}
"""The tags of a GeoTIFF with its upper left corner at 700 000, 6 600 000, and 0.2 m a pixel."""


@dataclass
class Picture:
    """One picture of a TIFF, 8 bits, grey or RGB, with tags of its own and pictures below it."""

    pixels: NDArray[np.uint8]
    tags: Mapping[int, Value] = field(default_factory=dict)
    exif: Mapping[int, Value] = field(default_factory=dict)
    below: Sequence["Picture"] = ()


def tiff_of(*pictures: Picture, order: str = "<", big: bool = False) -> bytes:
    """The pictures one after the other, as TIFF or BigTIFF."""
    code = "Q" if big else "I"
    head = struct.pack(f"{order}2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16)
    data = bytearray(head if big else struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8))
    link = 8 if big else 4
    for picture in pictures:
        begin = _directory(data, picture, order, big)
        struct.pack_into(f"{order}{code}", data, link, begin)
        link = len(data) - struct.calcsize(f"<{code}")
    return bytes(data)


def _directory(data: bytearray, picture: Picture, order: str, big: bool) -> int:
    """Append a picture; returns where its directory begins. The link to the next one is what ends the data."""
    height, width = picture.pixels.shape[:2]
    bands = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
    strip = len(data)
    data += picture.pixels.tobytes()
    tags: dict[int, Value] = {256: width, 257: height, 258: [8] * bands, 259: 1, 262: 2 if bands == 3 else 1}
    tags |= {273: strip, 277: bands, 278: height, 279: picture.pixels.nbytes, **picture.tags}
    if picture.below:
        tags[330] = [_directory(data, one, order, big) for one in picture.below]
    if picture.exif:
        tags[34665] = _tags(data, picture.exif, order, big)
    return _tags(data, tags, order, big)


def _tags(data: bytearray, tags: Mapping[int, Value], order: str, big: bool) -> int:
    code, room = ("Q", 8) if big else ("I", 4)
    entries = bytearray()
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, (bytes, Sequence)) else [value]
        kind, form = (2, "B") if isinstance(values, bytes) else (12, "d") if isinstance(values[0], float) else (4, "I")
        packed = struct.pack(f"{order}{len(values)}{form}", *values)
        if len(packed) > room:
            data += b"\0" * (len(data) % 2)
            at = len(data)
            data += packed
            packed = struct.pack(f"{order}{code}", at)
        entries += struct.pack(f"{order}HH{code}", tag, kind, len(values)) + packed.ljust(room, b"\0")
    data += b"\0" * (len(data) % 2)
    begin = len(data)
    data += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + entries + struct.pack(f"{order}{code}", 0)
    return begin


def gdal_tiff(values: NDArray[Any], **options: Any) -> bytes:
    """(H, W, bands) by GDAL, in Lambert 93.

    Args:
        values: of any type.
        options: of GDAL's driver; and `tags`, `band_tags`, `colours`, `mask`, `descriptions`, `colormap` to set.
    """
    kinds = ("tags", "band_tags", "colours", "mask", "descriptions", "colormap")
    extra = {kind: options.pop(kind, None) for kind in kinds}
    height, width, count = values.shape
    lambert = rasterio.Affine(0.2, 0, 700_000, 0, -0.2, 6_600_000)
    profile = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": values.dtype}
    profile |= {"crs": "EPSG:2154", "transform": lambert, **options}
    with MemoryFile() as file:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), file.open(**profile) as dataset:
            dataset.write(np.moveaxis(values, 2, 0))
            dataset.update_tags(**(extra["tags"] or {}))
            for band in dataset.indexes:
                dataset.update_tags(band, **(extra["band_tags"] or {}))
            if extra["colours"]:
                dataset.colorinterp = extra["colours"]
            if extra["descriptions"]:
                dataset.descriptions = extra["descriptions"]
            if extra["colormap"]:
                dataset.write_colormap(1, extra["colormap"])
            if extra["mask"] is not None:
                dataset.write_mask(extra["mask"])
        return bytes(file.read())
