"""Maps as cloud-optimised GeoTIFFs."""

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from parking.data.imagery import Raster

__all__ = ["cog"]


def cog(values: NDArray[np.float32], raster: Raster) -> bytes:
    """A band of float32 as a cloud-optimised GeoTIFF with overviews.

    Args:
        values: (H, W), as large as the raster.
        raster: gives CRS and transform, which it must have.
    """
    with MemoryFile() as file:
        with file.open(
            driver="COG",
            width=raster.width,
            height=raster.height,
            count=1,
            dtype="float32",
            crs=raster.crs,
            transform=raster.transform,
            compress="deflate",
            predictor=3,
        ) as dataset:
            dataset.write(values, 1)
            dataset.set_band_description(1, "probability")
        return bytes(file.read())
