"""Rows of free bays drawn as probability maps, at 0.15 m a pixel."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.detection.spots import SpotRules

GSD = 0.15
WIDTH, LENGTH = 2.5 / GSD, 5.0 / GSD
RULES = SpotRules(threshold=0.5, min_area_px=4 / GSD**2, bay_width_px=WIDTH, bay_length_px=LENGTH)
CENTRE = (350.0, 250.0)
FREE = 0.9

Map = NDArray[np.float32]
Points = NDArray[np.float64]


def empty(height: int = 500, width: int = 700) -> Map:
    return np.zeros((height, width), np.float32)


def fill(probability: Map, corners: Sequence[tuple[float, float]] | Points) -> None:
    """Make free what lies inside; a pixel belongs to it by its larger part, as with a rasteriser."""
    height, width = probability.shape
    fine = np.zeros((height * 4, width * 4), np.uint8)
    cv2.fillPoly(fine, [np.round((np.array(corners) * 4 - 0.5) * 16).astype(np.int32)], 255, shift=4)
    probability[cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) > 127] = FREE


def turned(points: Points, degrees: float, around: tuple[float, float] = CENTRE) -> Points:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray((points - around) @ matrix + around, np.float64)


def block(probability: Map, centre: tuple[float, float], width: float, height: float, degrees: float = 0) -> None:
    x, y = width / 2, height / 2
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) + centre
    fill(probability, turned(corners, degrees, centre))


def angled_row(bays: int, slant: float, degrees: float, *, sawtooth: bool) -> Map:
    """Bays that stand at `slant` degrees to their row; painted as rectangles they leave a sawtooth edge."""
    probability, angle = empty(), math.radians(slant)
    pitch = WIDTH / math.sin(angle)
    bay = np.array([math.cos(angle), -math.sin(angle)]) * LENGTH / 2
    side = np.array([math.sin(angle), math.cos(angle)]) * WIDTH / 2 if sawtooth else np.array([pitch / 2, 0.0])
    for index in range(bays):
        middle = np.array([CENTRE[0] + (index - bays / 2 + 0.5) * pitch, CENTRE[1]])
        corners = np.array([middle - bay - side, middle - bay + side, middle + bay + side, middle + bay - side])
        fill(probability, turned(corners, degrees))
    return probability


def ragged(probability: Map, seed: int) -> Map:
    """The same with soft edges that wander by some pixels, as a network leaves them."""
    noise = np.random.default_rng(seed).normal(size=probability.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.float32)
    soft = cv2.GaussianBlur(probability, (0, 0), 2.4)
    return np.asarray(np.clip(soft + 0.12 * noise / noise.std(), 0, 1), np.float32)
