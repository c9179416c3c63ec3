"""The report of a survey: one HTML file that loads nothing from other hosts."""

import base64
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from parking.survey.districts import District
from parking.survey.grid import Grid
from parking.survey.records import cell_step

MOST_PLACES = 20_000
"""Largest number of places that the page draws one by one; beyond it, it shows the density."""
_WEB = files("parking.survey") / "web"
_DENSEST = 20.0
"""Free places per hectare at which the colour of the density is strongest."""


def report_page(
    summary: dict[str, Any],
    districts: Sequence[District],
    shapes: NDArray[np.object_],
    places: Path,
    density: "Density",
) -> bytes:
    """The page as HTML.

    Args:
        summary: what `survey.json` says.
        districts: their numbers.
        shapes: their outlines in longitude and latitude.
        places: GeoParquet of all places.
        density: shown at small scales.
    """
    data = {
        "summary": summary,
        "districts": district_features(districts, shapes),
        "places": _places(places, summary["places"]),
        "density": density.overlay,
    }
    page = _text("report.html")
    parts = {
        "/*MAPLIBRE-CSS*/": _text("maplibre-gl.css"),
        "/*CSS*/": _text("report.css"),
        "/*MAPLIBRE-JS*/": _text("maplibre-gl.js"),
        "/*MAP-JS*/": _text("survey-map.js"),
        "/*JS*/": _text("report.js"),
        # A "<" in the name of a district could end the script.
        "/*DATA*/": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    for mark, content in parts.items():
        page = page.replace(mark, content, 1)
    return page.encode()


def district_features(districts: Sequence[District], shapes: NDArray[np.object_]) -> dict[str, Any]:
    """Districts as a GeoJSON FeatureCollection."""
    outlines = shapely.to_geojson(shapely.orient_polygons(shapely.set_precision(shapes, 1e-7, mode="pointwise")))
    features = [
        {"type": "Feature", "id": number, "properties": row.model_dump(), "geometry": json.loads(outline)}
        for number, (row, outline) in enumerate(zip(districts, outlines, strict=True), 1)
    ]
    return {"type": "FeatureCollection", "features": features}


def _places(path: Path, count: int) -> dict[str, Any] | None:
    if count > MOST_PLACES:
        return None
    columns = ["id", "confidence", "area_m2", "date", "source", "district", "geometry"]
    rows = pq.read_table(path, columns=columns).to_pylist()
    outlines = shapely.to_geojson(shapely.from_wkb([row.pop("geometry") for row in rows]))
    features = [
        {"type": "Feature", "id": number, "properties": row, "geometry": json.loads(outline)}
        for number, (row, outline) in enumerate(zip(rows, outlines, strict=True), 1)
    ]
    return {"type": "FeatureCollection", "features": features}


class Density:
    """Free places per hectare, as an image with its corners."""

    def __init__(self, seen: dict[tuple[int, int], int], places: dict[tuple[int, int], int], grid: Grid) -> None:
        step = cell_step(grid)
        cells = [*seen] or [(0, 0)]
        top, left = (min(cell[axis] for cell in cells) for axis in (0, 1))
        height, width = (max(cell[axis] for cell in cells) + 1 - start for axis, start in ((0, top), (1, left)))
        self.values = np.full((height, width), np.nan, np.float32)
        hectare = grid.gsd**2 / 1e4
        for (row, column), pixels in seen.items():
            self.values[row - top, column - left] = places.get((row, column), 0) / (pixels * hectare)
        self.transform = grid.transform(left * step, top * step)
        self.step = step
        corners = [(0, 0), (width, 0), (width, height), (0, height)]
        to_wgs84 = grid.to_wgs84()
        self.corners = [
            [round(value, 7) for value in to_wgs84.transform(*(self.transform @ (x * step, y * step)))]
            for x, y in corners
        ]

    @property
    def overlay(self) -> dict[str, Any]:
        """An image for the map: transparent without imagery, more opaque with more free places."""
        share = np.nan_to_num(self.values / _DENSEST).clip(0, 1)
        colour = np.empty((*share.shape, 4), np.uint8)
        colour[..., :3] = (70, 160, 30)
        colour[..., 3] = np.where(np.isnan(self.values), 0, 25 + 205 * share)
        png = cv2.imencode(".png", colour)[1].tobytes()
        return {"url": f"data:image/png;base64,{base64.b64encode(png).decode()}", "corners": self.corners}


def _text(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")
