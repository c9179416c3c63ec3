"""Cars as they look from above."""

import numpy as np
from numpy.typing import NDArray

from parking.data.synthetic.canvas import Canvas, Points
from parking.data.synthetic.style import Colour, shade

__all__ = ["Car", "draw_cars"]

_PAINTS: tuple[Colour, ...] = (
    (222, 224, 226), (232, 232, 228), (168, 172, 176), (124, 128, 132), (66, 68, 74), (38, 40, 46),
    (44, 46, 52), (54, 70, 112), (38, 60, 96), (150, 36, 34), (112, 30, 34), (96, 104, 88), (176, 160, 130),
)  # fmt: skip
_SHARES = (0.15, 0.1, 0.15, 0.13, 0.1, 0.1, 0.06, 0.05, 0.04, 0.05, 0.02, 0.02, 0.03)
_GLASS: Colour = (30, 36, 44)

# Outlines in shares of half the length (x, forward) and half the width (y).
_HALF = np.array([[1.0, 0.55], [0.9, 0.9], [0.6, 1.0], [-0.75, 1.0], [-0.95, 0.85], [-1.0, 0.5]])
# The other half, mirrored, in the order that goes on round the car.
_BODY = np.concatenate([_HALF, _HALF[::-1] * (1, -1)])
_CABIN = np.array([(0.42, 0.84), (-0.82, 0.8), (-0.82, -0.8), (0.42, -0.84)])
_ROOF = np.array([(0.1, 0.68), (-0.55, 0.68), (-0.55, -0.68), (0.1, -0.68)])
_BOX = np.array([(0.45, 0.92), (-0.97, 0.92), (-0.97, -0.92), (0.45, -0.92)])
_SCREEN = np.array([(0.72, 0.8), (0.5, 0.84), (0.5, -0.84), (0.72, -0.8)])


class Car:
    """One car: where it stands, how large it is, what colour it has."""

    def __init__(self, centre: Points, heading: float, rng: np.random.Generator) -> None:
        self.van = bool(rng.random() < 0.09)
        length, width = (rng.uniform(4.8, 5.1), 1.98) if self.van else (rng.uniform(3.7, 4.75), rng.uniform(1.7, 1.88))
        turned = heading + rng.normal(0, 0.025) + (np.pi if rng.random() < 0.2 else 0.0)
        forward = np.array([np.cos(turned), np.sin(turned)])
        self._axes: NDArray[np.float64] = np.array(
            [forward * length / 2, np.array([-forward[1], forward[0]]) * width / 2]
        )
        self.centre = centre
        paint = _PAINTS[0 if self.van and rng.random() < 0.7 else int(rng.choice(len(_PAINTS), p=_SHARES))]
        self.paint = shade(paint, float(rng.uniform(0.9, 1.08)))

    def place(self, shape: Points) -> Points:
        """Metres of the scene from shares of the car's half axes."""
        placed: Points = shape @ self._axes + self.centre
        return placed

    def draw(self, canvas: Canvas) -> None:
        """Body, glass all round the cabin, and the roof on it."""
        canvas.polygon(self.place(_BODY), self.paint)
        if self.van:
            canvas.polygon(self.place(_SCREEN), _GLASS)
            canvas.polygon(self.place(_BOX), shade(self.paint, 1.06))
            return
        canvas.polygon(self.place(_CABIN), _GLASS)
        canvas.polygon(self.place(_ROOF), shade(self.paint, 1.1))

    def cast(self, canvas: Canvas, mask: NDArray[np.uint8]) -> None:
        """Draw its shadow into a mask."""
        fall = np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)])
        offset = fall * canvas.style.shadow_length * (2.0 if self.van else 1.2)
        # Never straight under the car: a dark rim there is what separates dark cars from dark asphalt.
        canvas.polygon(self.place(_BODY * 1.06) + offset * 0.4, 255, mask)
        canvas.polygon(self.place(_BODY * 0.96) + offset, 255, mask)


def draw_cars(canvas: Canvas, cars: list[Car]) -> None:
    """All shadows first, so that none falls on a neighbour's roof."""
    mask = np.zeros((canvas.size, canvas.size), np.uint8)
    for car in cars:
        car.cast(canvas, mask)
    canvas.darken(mask, canvas.style.shadow_depth)
    for car in cars:
        car.draw(canvas)
