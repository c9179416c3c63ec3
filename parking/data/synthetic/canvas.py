"""A canvas measured in metres: shapes are given on the ground, and drawn turned and scaled into pixels."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.synthetic.style import Colour, Style

__all__ = ["Canvas", "Points", "noise", "rectangle"]

Points = NDArray[np.float64]
"""(N, 2) metres in the frame of the streets, (0, 0) the middle of the image."""

_SUBPIXEL = 4


class Canvas:
    """Pixels, and the way from metres to them."""

    def __init__(self, size: int, style: Style, rng: np.random.Generator) -> None:
        self.size = size
        self.style = style
        self.rng = rng
        self.pixels: NDArray[np.uint8] = _ground(size, style, rng)
        cos, sin = np.cos(style.angle), np.sin(style.angle)
        self._turn = np.array([[cos, sin], [-sin, cos]]) / style.gsd
        self._columns = self._turn.tolist()
        self._turn_fixed = self._turn * 2**_SUBPIXEL
        # OpenCV counts from the middle of the first pixel, we from its corner; the last half rounds.
        self._shift_fixed = (size / 2 - 0.5) * 2**_SUBPIXEL + 0.5

    @property
    def reach(self) -> float:
        """Metres from the middle to a corner."""
        return self.size * self.style.gsd / math.sqrt(2)

    def to_pixels(self, points: Points) -> Points:
        """Pixel coordinates, (0, 0) the upper left corner of the image."""
        return np.asarray(points) @ self._turn + self.size / 2

    def sees(self, place: Points, radius: float) -> bool:
        """Whether something of that radius can show in the image; with a negative one, whether all of it does."""
        x, y = place.tolist()
        (a, b), (c, d) = self._columns
        limit = self.size / 2 + radius / self.style.gsd
        return bool(abs(x * a + y * c) < limit and abs(x * b + y * d) < limit)

    def polygon(self, points: Points, colour: Colour | int, onto: NDArray[np.uint8] | None = None) -> None:
        """Fill a polygon; `onto` a mask instead of the image, if given."""
        target = self.pixels if onto is None else onto
        cv2.fillPoly(target, [self._fixed(points)], _scalar(colour), cv2.LINE_AA, _SUBPIXEL)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw a line of a width in metres, at least a pixel."""
        thickness = max(1, round(width / self.style.gsd))
        cv2.polylines(self.pixels, [self._fixed(points)], False, _scalar(colour), thickness, cv2.LINE_AA, _SUBPIXEL)

    def circles(
        self, centres: Points, radii: Points, colours: list[Colour | int], onto: NDArray[np.uint8] | None = None
    ) -> None:
        """Fill circles, the last one on top."""
        target = self.pixels if onto is None else onto
        sizes = np.maximum(radii * (2**_SUBPIXEL / self.style.gsd), 1).astype(int).tolist()
        for centre, radius, colour in zip(self._fixed(centres).tolist(), sizes, colours, strict=True):
            cv2.circle(target, centre, radius, _scalar(colour), -1, cv2.LINE_AA, _SUBPIXEL)

    def darken(self, mask: NDArray[np.uint8], depth: float) -> None:
        """Take light where a mask is 255; what is left is bluer, since the sky still shines there."""
        for channel, part in enumerate((depth, depth * 0.96, depth * 0.86)):
            table = (256 - np.arange(256) * part).astype(np.uint16)
            self.pixels[:, :, channel] = (self.pixels[:, :, channel].astype(np.uint16) * table[mask]) >> 8

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        fixed: NDArray[np.int32] = (points @ self._turn_fixed + self._shift_fixed).astype(np.int32)
        return fixed


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """The corners of an upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def noise(size: int, cells: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(size, size) smooth noise around 0, about `cells` bumps a side."""
    count = max(2, round(cells))
    coarse = rng.standard_normal((count, count), np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def _scalar(colour: Colour | int) -> tuple[float, ...]:
    return (float(colour),) if isinstance(colour, int) else colour


def _ground(size: int, style: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grass with bare patches: what lies under everything that is drawn."""
    metres = size * style.gsd
    bare = np.clip(noise(size, metres / 14, rng) * 0.5 + noise(size, metres / 3, rng) * 0.3, 0, 1)
    tufts = 1 + 0.09 * noise(size, metres / 0.9, rng)
    grass, soil = np.array(style.grass, np.float32), np.array(style.soil, np.float32)
    mixed = grass + bare[:, :, None] * (soil - grass)
    ground: NDArray[np.uint8] = np.clip(mixed * tufts[:, :, None], 0, 255).astype(np.uint8)
    return ground
