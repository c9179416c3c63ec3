"""The files of an answer: places, overlay and probability map."""

import json
from pathlib import Path

import numpy as np

from parking.data.imagery import Raster, encode_png
from parking.detection.detection import Detection
from parking.detection.geojson import to_geojson, vehicles_to_geojson
from parking.detection.output import overlay
from parking.errors import OutputError
from parking.files import write_whole

__all__ = ["probability_cog", "probability_png", "write_answers"]


def write_answers(detection: Detection, raster: Raster, stem: Path, model_version: str = "") -> list[Path]:
    """Write the places, the vehicles, the overlay and the probability map of one raster.

    For a georeferenced raster they are `<stem>.geojson`, `<stem>.overlay.png` and `<stem>.prob.tif`; for any other, in
    pixels, `<stem>.pixels.json`, `<stem>.overlay.png` and `<stem>.prob.png`. Vehicles, if the model finds them, are
    `<stem>.vehicles.geojson` or `<stem>.vehicles.pixels.json`.

    Args:
        detection: the places and vehicles.
        raster: the image.
        stem: folder and name of the files; the folder is created.
        model_version: of the model that found it.

    Returns:
        The files, in this order.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    places = to_geojson(detection, raster, model_version)
    on_earth = places["coordinate_system"] != "image"
    suffix = "geojson" if on_earth else "pixels.json"
    probability = probability_cog if on_earth else probability_png
    answers = {f".{suffix}": json.dumps(places).encode()}
    if detection.vehicles is not None:
        answers[f".vehicles.{suffix}"] = json.dumps(vehicles_to_geojson(detection, raster, model_version)).encode()
    answers |= {
        ".overlay.png": encode_png(overlay(raster, detection)),
        ".prob.tif" if on_earth else ".prob.png": probability(detection, raster),
    }
    paths = [stem.with_name(stem.name + suffix) for suffix in answers]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path, data in zip(paths, answers.values(), strict=True):
            write_whole(path, data)
    except OSError as error:
        raise OutputError(
            f"The answers cannot be written to {stem.parent} ({error.strerror or error}). Name another folder."
        ) from error
    return paths


def probability_png(detection: Detection, raster: Raster) -> bytes:
    """The probability map as a grey PNG of the raster's size: 0 is 0, 255 is 1."""
    return encode_png(np.asarray(np.rint(detection.probability * 255), np.uint8))


def probability_cog(detection: Detection, raster: Raster) -> bytes:
    """The probability map as a cloud-optimised GeoTIFF of float32 in [0, 1], georeferenced like the raster."""
    # Imported late, because it needs GDAL: see `read_raster`.
    from parking.data.cog import cog

    # A thousandth is more exact than the probabilities are, and compresses well.
    return cog(np.round(detection.probability, 3).astype(np.float32), raster)
