"""Trees: crowns of many leaves, lit from one side."""

import numpy as np
from numpy.typing import NDArray

from parking.data.synthetic.canvas import Canvas, Points
from parking.data.synthetic.style import Colour, shade

__all__ = ["Tree"]


class Tree:
    """One tree: its crown is a heap of round clumps."""

    def __init__(self, centre: Points, radius: float, colour: Colour, rng: np.random.Generator) -> None:
        self.centre = centre
        self.radius = radius
        self.colour = shade(colour, float(rng.uniform(0.75, 1.25)))
        count = int(np.clip(radius * 7, 9, 34))
        distance, angle = np.sqrt(rng.random(count)) * radius * 0.78, rng.uniform(0, 2 * np.pi, count)
        self.clumps: Points = centre + np.stack([np.cos(angle), np.sin(angle)], 1) * distance[:, None]
        self.sizes = rng.uniform(0.22, 0.42, count) * radius
        self.tones = rng.normal(1.0, 0.1, count)

    def draw(self, canvas: Canvas) -> None:
        """Clumps away from the sun are dark, those towards it bright, small and on top."""
        fall = np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)])
        lit = -((self.clumps - self.centre) @ fall) / self.radius
        order = np.argsort(lit)
        tones = (self.tones * (0.86 + 0.3 * lit))[order]
        clumps, sizes = self.clumps[order], self.sizes[order][:, None]
        # Each clump is a dark disc with a brighter, smaller one on it, moved towards the sun.
        centres = np.stack([clumps, clumps - fall * sizes * 0.3], 1).reshape(-1, 2)
        radii = (sizes * (1.1, 0.6)).ravel()
        levels = (tones[:, None] * (0.86, 1.0)).ravel().tolist()
        canvas.circles(self.centre[None], np.array([self.radius * 0.8]), [shade(self.colour, 0.62)])
        canvas.circles(centres, radii, [shade(self.colour, level) for level in levels])

    def cast(self, canvas: Canvas, mask: NDArray[np.uint8]) -> None:
        """Draw its shadow into a mask."""
        fall = np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)])
        reach = fall * canvas.style.shadow_length * self.radius * 1.7
        centres = np.array([self.centre + reach * 0.55, self.centre + reach])
        canvas.circles(centres, np.array([0.85, 0.85]) * self.radius, [255, 255], mask)
