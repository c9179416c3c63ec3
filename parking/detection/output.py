"""Overlays: images with the places and vehicles drawn in."""

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.annotations import Ring
from parking.data.imagery import Raster
from parking.detection.detection import Detection

__all__ = ["caption", "fixed", "overlay"]

_UNSURE = np.array([255, 159, 28], np.float64)
_SURE = np.array([46, 232, 134], np.float64)
_VEHICLE = (64, 156, 255)
_FILL = 0.35
_DARK = (16, 20, 24)


def overlay(raster: Raster, detection: Detection, *, vehicles: bool = True) -> NDArray[np.uint8]:
    """The image with its free places, from orange (low confidence) to green (high), and the count as a caption.

    Vehicles are outlined in blue.

    Args:
        raster: the image.
        detection: its places and vehicles.
        vehicles: whether to draw the vehicles, too.

    Returns:
        (H, W, 3) RGB, the raster's own size.
    """
    drawn = raster.pixels.copy()
    stroke = max(1, round(min(raster.height, raster.width) / 400))
    # Outlines are drawn last, so that adjoining places can be told apart.
    fill = drawn.copy()
    for spot in detection.spots:
        cv2.fillPoly(fill, [fixed(spot.ring)], _colour(spot.confidence), lineType=cv2.LINE_AA, shift=4)
    cv2.addWeighted(fill, _FILL, drawn, 1 - _FILL, 0, dst=drawn)
    seen = detection.vehicles or () if vehicles else ()
    for vehicle in seen:
        cv2.polylines(drawn, [fixed(vehicle.ring)], True, _VEHICLE, stroke, cv2.LINE_AA, shift=4)
    for thickness, dark in ((stroke + 2, True), (stroke, False)):
        for spot in detection.spots:
            colour = _DARK if dark else _colour(spot.confidence)
            cv2.polylines(drawn, [fixed(spot.ring)], True, colour, thickness, cv2.LINE_AA, shift=4)
    caption(drawn, _told(detection))
    return drawn


def _told(detection: Detection) -> str:
    """The answer in one line."""
    low, high = detection.count_interval
    places = "place" if detection.count == 1 else "places"
    free = f"{detection.count} free {places} ({low} to {high})"
    if detection.share_taken is None:
        return free
    vehicles = "vehicle" if detection.taken == 1 else "vehicles"
    return f"{free}, {detection.taken} {vehicles}, {detection.share_taken:.0%} taken"


def fixed(ring: Ring) -> NDArray[np.int32]:
    """Sixteenths of a pixel; OpenCV counts from the centre of the first pixel, a ring from its corner."""
    return np.round((np.array(ring) - 0.5) * 16).astype(np.int32)


def _colour(confidence: float) -> tuple[int, int, int]:
    red, green, blue = (round(float(value)) for value in _UNSURE + confidence * (_SURE - _UNSURE))
    return red, green, blue


def caption(drawn: NDArray[np.uint8], text: str) -> None:
    """A line of text in the upper left corner, on a dark ground; left out if it would cover the image."""
    height, width = drawn.shape[:2]
    scale = max(0.45, min(height, width) / 900)
    thickness = max(1, round(scale * 1.6))
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = up // 2
    if across + 2 * margin > width or up + below + 2 * margin > height / 3:
        return
    cv2.rectangle(drawn, (0, 0), (across + 2 * margin, up + below + 2 * margin), _DARK, cv2.FILLED)
    place = (margin, margin + up)
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
