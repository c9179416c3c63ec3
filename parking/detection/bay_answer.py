"""The answer for known bays: GeoJSON with their attributes, totals, and a picture."""

from collections import Counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.bays import KnownBays
from parking.data.raster import Raster
from parking.detection.occupancy import Bay
from parking.detection.output import caption, fixed

__all__ = ["bays_overlay", "bays_to_geojson", "totals_of"]

_COLOURS = {"free": (46, 232, 134), "occupied": (235, 64, 52), "unsure": (255, 159, 28)}
_FILL = 0.3


def bays_to_geojson(known: KnownBays, read: tuple[Bay, ...], raster: Raster, model_version: str) -> dict[str, Any]:
    """The bays of the layer, with `state` and `probability_occupied` added to their attributes.

    Args:
        known: the bays in the image, and other members of the layer.
        read: their states, in the same order.
        raster: the image.
        model_version: of the model that judged them.
    """
    features = [
        {**bay.feature, "properties": {**(bay.feature.get("properties") or {}), **_said(state)}}
        for bay, state in zip(known.bays, read, strict=True)
    ]
    totals = totals_of(read)
    return known.collection | {
        "type": "FeatureCollection",
        "features": features,
        **totals,
        "outside": known.outside,
        "imagery_date": raster.acquired.isoformat() if raster.acquired else "unknown",
        "warnings": list(raster.warnings),
        "model_version": model_version,
    }


def totals_of(read: tuple[Bay, ...]) -> dict[str, Any]:
    """Bays by state, and the share that is taken: the mean of the probabilities, which counts the unsure ones, too."""
    states = Counter[str](bay.state for bay in read)
    share = round(float(np.mean([bay.occupied for bay in read])), 4) if read else None
    return {**{name: states[name] for name in _COLOURS}, "share_taken": share}


def bays_overlay(raster: Raster, read: tuple[Bay, ...]) -> NDArray[np.uint8]:
    """The image with its bays drawn in: green where free, red where taken, orange where unsure; (H, W, 3) RGB."""
    drawn = raster.pixels.copy()
    fill = drawn.copy()
    for bay in read:
        cv2.fillPoly(fill, [fixed(bay.ring)], _COLOURS[bay.state], lineType=cv2.LINE_AA, shift=4)
    cv2.addWeighted(fill, _FILL, drawn, 1 - _FILL, 0, dst=drawn)
    stroke = max(1, round(min(raster.height, raster.width) / 500))
    for bay in read:
        cv2.polylines(drawn, [fixed(bay.ring)], True, _COLOURS[bay.state], stroke, cv2.LINE_AA, shift=4)
    totals = totals_of(read)
    caption(drawn, f"{totals['free']} free, {totals['occupied']} taken, {totals['unsure']} unsure")
    return drawn


def _said(bay: Bay) -> dict[str, Any]:
    return {"state": bay.state, "probability_occupied": round(bay.occupied, 4)}
