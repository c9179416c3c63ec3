"""Houses, blocks of flats and sheds: roofs with their light, and the shadows they throw."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.synthetic.canvas import Canvas, Points, rectangle
from parking.data.synthetic.style import Colour, grey, shade

__all__ = ["Building", "Roof"]

Roof = Literal["gable", "hip", "flat", "ribbed"]


@dataclass(slots=True)
class Building:
    """An upright box with a roof.

    Attributes:
        x0: left edge, metres.
        y0: upper edge.
        x1: right edge.
        y1: lower edge.
        height: metres up to the eaves.
        roof: its form.
        colour: of the roof.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    height: float
    roof: Roof
    colour: Colour

    @property
    def corners(self) -> Points:
        """Its footprint."""
        return rectangle(self.x0, self.y0, self.x1, self.y1)

    def cast(self, canvas: Canvas, mask: NDArray[np.uint8]) -> None:
        """Draw its shadow into a mask."""
        fall = np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)]) * canvas.style.shadow_length
        both = np.concatenate([self.corners, self.corners + fall * self.height]).astype(np.float32)
        canvas.polygon(cv2.convexHull(both)[:, 0].astype(float), 255, mask)

    def draw(self, canvas: Canvas) -> None:
        """Draw the roof: each plane as bright as the sun finds it."""
        match self.roof:
            case "gable" | "hip":
                self._pitched(canvas)
            case "flat":
                self._flat(canvas)
            case "ribbed":
                canvas.polygon(self.corners, self.colour)
                self._courses(canvas, 2.2, 0.9)

    def _pitched(self, canvas: Canvas) -> None:
        upper_left, upper_right, lower_right, lower_left = self.corners
        wide = self.x1 - self.x0 >= self.y1 - self.y0
        short = min(self.x1 - self.x0, self.y1 - self.y0) / 2
        inset = short * 0.9 if self.roof == "hip" else 0.0
        middle_x, middle_y = (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2
        if wide:
            one, two = np.array([self.x0 + inset, middle_y]), np.array([self.x1 - inset, middle_y])
            planes = [
                ((0, -1), [upper_left, upper_right, two, one]),
                ((0, 1), [lower_right, lower_left, one, two]),
                ((-1, 0), [lower_left, upper_left, one]),
                ((1, 0), [upper_right, lower_right, two]),
            ]
        else:
            one, two = np.array([middle_x, self.y0 + inset]), np.array([middle_x, self.y1 - inset])
            planes = [
                ((-1, 0), [upper_left, one, two, lower_left]),
                ((1, 0), [upper_right, one, two, lower_right]),
                ((0, -1), [upper_left, upper_right, one]),
                ((0, 1), [lower_right, lower_left, two]),
            ]
        self._planes(canvas, planes)
        self._courses(canvas, 0.9, 0.94)
        canvas.line(np.array([one, two]), shade(self.colour, 1.18), 0.22)
        self._chimney(canvas, one, two)

    def _planes(self, canvas: Canvas, planes: list[tuple[tuple[int, int], list[Points]]]) -> None:
        sun = -np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)])
        for facing, corners in planes:
            light = 0.94 + 0.26 * float(sun @ np.array(facing)) * (0.5 + canvas.style.shadow_depth)
            canvas.polygon(np.array(corners), shade(self.colour, light))

    def _courses(self, canvas: Canvas, step: float, tone: float) -> None:
        """Rows of tiles, or ribs of sheet metal: faint lines along the ridge."""
        strength = shade(self.colour, tone)
        wide = self.x1 - self.x0 >= self.y1 - self.y0
        low, high = (self.y0, self.y1) if wide else (self.x0, self.x1)
        for at in np.arange(low + step, high - step / 2, step):
            ends = [(self.x0 + 0.4, at), (self.x1 - 0.4, at)] if wide else [(at, self.y0 + 0.4), (at, self.y1 - 0.4)]
            canvas.line(np.array(ends), strength, 0.01)

    def _chimney(self, canvas: Canvas, one: Points, two: Points) -> None:
        if min(self.x1 - self.x0, self.y1 - self.y0) < 5:
            return
        if canvas.rng.random() < 0.6:
            x, y = one + (two - one) * canvas.rng.uniform(0.2, 0.8) + 0.7
            canvas.polygon(rectangle(x - 0.2, y - 0.2, x + 0.9, y + 1.0), (52, 46, 44))
            canvas.polygon(rectangle(x - 0.4, y - 0.4, x + 0.4, y + 0.4), (150, 120, 104))
        for _ in range(int(canvas.rng.integers(0, 3))):
            x, y = canvas.rng.uniform(self.x0 + 1, self.x1 - 1.6), canvas.rng.uniform(self.y0 + 1, self.y1 - 1.6)
            canvas.polygon(rectangle(x, y, x + 0.8, y + 1.1), (86, 104, 122))

    def _flat(self, canvas: Canvas) -> None:
        """A parapet, a felt surface, and what stands on it."""
        rng = canvas.rng
        canvas.polygon(self.corners, shade(self.colour, 1.2))
        inner = rectangle(self.x0 + 0.5, self.y0 + 0.5, self.x1 - 0.5, self.y1 - 0.5)
        canvas.polygon(inner, shade(self.colour, 0.92))
        fall = np.array([np.cos(canvas.style.sun), np.sin(canvas.style.sun)]) * canvas.style.shadow_length
        area = (self.x1 - self.x0) * (self.y1 - self.y0)
        for _ in range(int(np.clip(area / 60, 1, 14))):
            width, depth = rng.uniform(0.8, 3.0, 2)
            x = rng.uniform(self.x0 + 1, max(self.x0 + 1.1, self.x1 - width - 1))
            y = rng.uniform(self.y0 + 1, max(self.y0 + 1.1, self.y1 - depth - 1))
            corners = rectangle(x, y, x + width, y + depth)
            canvas.polygon(corners + fall * 1.4, shade(self.colour, 0.5))
            canvas.polygon(corners, grey(float(rng.uniform(110, 225))))
