"""What a model found in one image, to look at, to map and to keep."""

import base64
import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.imagery import Raster, encode_png
from parking.detection.answer_files import write_answers
from parking.detection.detection import Detection
from parking.detection.geojson import to_geojson
from parking.detection.output import overlay
from parking.detection.spots import Spot
from parking.optional import required

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Result"]

_SHOWN_SIDE = 1024
"""Longest side of the picture in a notebook, in pixels."""
_SHOWN_ROWS = 10


@dataclass(frozen=True)
class Result:
    """The free places of one image. The imagery may be months old: this is no live availability."""

    raster: Raster
    """The image."""

    detection: Detection
    """All that was found, with the probability map."""

    model_version: str
    """Of the model that found it."""

    @property
    def spots(self) -> tuple[Spot, ...]:
        """The free places, from the top of the image downwards."""
        return self.detection.spots

    @property
    def vehicles(self) -> tuple[Spot, ...]:
        """The vehicles, from the top of the image downwards; none where the model sees none."""
        return self.detection.vehicles or ()

    @property
    def share_taken(self) -> float | None:
        """Vehicles among vehicles and free places together; None where the model sees no vehicles."""
        return self.detection.share_taken

    @property
    def count(self) -> int:
        """How many free places were found."""
        return self.detection.count

    @property
    def count_interval(self) -> tuple[int, int]:
        """Bounds for the number of places there are, at 80 %."""
        return self.detection.count_interval

    @property
    def gsd(self) -> float:
        """Ground sample distance, in metres a pixel, that areas were computed with."""
        return self.detection.gsd

    @property
    def imagery_date(self) -> date | None:
        """The day that the image was taken, where the file says it."""
        return self.detection.imagery_date

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Spot]:
        return iter(self.spots)

    def __repr__(self) -> str:
        return f"<{self.summary()}>"

    def summary(self) -> str:
        """One line: how many places, in what, of when, by which model."""
        low, high = self.count_interval
        places = "free place" if self.count == 1 else "free places"
        return (
            f"{self.raster.name}: {self.count} {places} (80 % interval {low} to {high}){self._taken()}, "
            f"{self.gsd:.3g} m a pixel ({self.detection.gsd_source}), "
            f"imagery of {self.imagery_date or 'unknown date'}, model {self.model_version}"
        )

    def _taken(self) -> str:
        if self.share_taken is None:
            return ""
        return f", {len(self.vehicles)} vehicle{'s' * (len(self.vehicles) != 1)}, {self.share_taken:.0%} taken"

    def overlay(self) -> NDArray[np.uint8]:
        """The image with its places drawn in: (H, W, 3) RGB."""
        return overlay(self.raster, self.detection)

    def to_geojson(self) -> dict[str, Any]:
        """The places as a FeatureCollection; in WGS 84 where the image is georeferenced, else in its pixels."""
        return to_geojson(self.detection, self.raster, self.model_version)

    def to_geodataframe(self) -> "gpd.GeoDataFrame":
        """The places as a table of geopandas, a row each; in WGS 84 where the image is georeferenced, else in pixels.

        What holds for all rows is in `attrs`: model version, resolution, date, count and its interval.

        Raises:
            NotInstalledError: geopandas is not installed.
        """
        geopandas = required("geopandas", "A table of places")
        collection = self.to_geojson()
        placed = collection["coordinate_system"] != "image"
        columns = ["confidence", "area_m2", "kind", "geometry"]
        table = geopandas.GeoDataFrame.from_features(
            collection["features"], crs="EPSG:4326" if placed else None, columns=columns
        )
        table.index = table.index.rename("place") + 1
        table.attrs = {name: value for name, value in collection.items() if name not in {"type", "crs", "features"}}
        return table

    def save(self, folder: str | Path, name: str = "") -> list[Path]:
        """Write the places, the overlay and the probability map into a folder; returns the files.

        Args:
            folder: made where there is none.
            name: of the files; the image's, without its extension, when left out.

        Raises:
            OutputError: a file cannot be written.
        """
        stem = Path(folder) / (name or Path(self.raster.name).stem)
        return write_answers(self.detection, self.raster, stem, self.model_version)

    def _repr_html_(self) -> str:
        """The overlay and the first places, as Jupyter shows them."""
        cells = "".join(
            f"<tr><th>{number}</th><td>{spot.confidence:.0%}</td><td>{spot.area_m2:.1f}</td></tr>"
            for number, spot in enumerate(self.spots[:_SHOWN_ROWS], start=1)
        )
        more = self.count - _SHOWN_ROWS
        rest = f"<p>and {more} more: <code>.to_geodataframe()</code></p>" if more > 0 else ""
        table = f"<table><tr><th>place</th><th>confidence</th><th>m²</th></tr>{cells}</table>" if cells else ""
        picture = base64.b64encode(encode_png(_shrunk(self.overlay()))).decode()
        told = html.escape(self.summary())
        return f'<p>{told}</p><img alt="{told}" src="data:image/png;base64,{picture}">{table}{rest}'


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = _SHOWN_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
