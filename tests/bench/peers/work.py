"""What every server under test does with an image, so that only the serving differs."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from parking.data.imagery import read_raster
from parking.detection.detector import Detector
from parking.detection.geojson import to_geojson


@cache
def detector() -> Detector:
    """The model that PEER_MODEL names."""
    return Detector.load(Path(os.environ["PEER_MODEL"]))


def find(data: bytes) -> dict[str, Any]:
    """The free places of an image."""
    raster = read_raster(data)
    return to_geojson(detector().detect(raster), raster)
