"""What varies from scene to scene besides its plan: light, resolution, season, colours."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Colour", "Style", "draw_style", "grey", "shade"]

Colour = tuple[int, int, int]

_ROOFS: tuple[tuple[Colour, ...], ...] = (
    ((178, 98, 66), (162, 84, 58), (190, 116, 82), (150, 92, 70), (138, 100, 84)),  # clay tiles
    ((96, 100, 108), (84, 86, 92), (112, 112, 116), (120, 108, 100), (140, 74, 58)),  # slate, some clay
    ((150, 148, 142), (178, 174, 166), (120, 118, 116), (196, 194, 190), (168, 96, 70)),  # gravel, concrete, some clay
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a scene looks.

    Attributes:
        gsd: metres a pixel.
        angle: direction of the streets, radians.
        sun: direction that shadows fall to, radians.
        shadow_length: metres of shadow a metre of height.
        shadow_depth: how much light a shadow takes, 0 to 1.
        exposure: brightness factor of the whole image.
        warmth: red against blue, -1 to 1.
        grass: colour of lawns.
        soil: colour of bare earth.
        leaves: colour of trees.
        asphalt: grey level of roads.
        roofs: colours that roofs are chosen from.
        blur: sigma of the sensor's blur, pixels.
        grain: sigma of the sensor's noise, grey levels.
        free: how many free places to leave, 0 (none) to 1 (some twenty).
    """

    gsd: float
    angle: float
    sun: float
    shadow_length: float
    shadow_depth: float
    exposure: float
    warmth: float
    grass: Colour
    soil: Colour
    leaves: Colour
    asphalt: int
    roofs: tuple[Colour, ...]
    blur: float
    grain: float
    free: float


def draw_style(rng: np.random.Generator) -> Style:
    """A style at random, within what European aerial images show."""
    dry = rng.random()
    return Style(
        gsd=float(rng.uniform(0.10, 0.25)),
        angle=float(rng.uniform(0, np.pi)),
        sun=float(rng.uniform(0, 2 * np.pi)),
        shadow_length=float(rng.uniform(0.25, 1.1)),
        shadow_depth=float(rng.uniform(0.3, 0.62)),
        exposure=float(rng.uniform(0.72, 1.12)),
        warmth=float(rng.uniform(-0.6, 0.8)),
        grass=_mixed((72, 98, 52), (128, 122, 78), dry),
        soil=_mixed((112, 96, 76), (158, 140, 112), rng.random()),
        leaves=_mixed((44, 70, 40), (88, 98, 48), rng.random()),
        asphalt=int(rng.integers(84, 142)),
        roofs=_ROOFS[int(rng.integers(len(_ROOFS)))],
        blur=float(rng.uniform(0.45, 0.8)),
        grain=float(rng.uniform(1.5, 4.5)),
        free=0.0 if rng.random() < 0.08 else float(rng.uniform(0.1, 1.0)),
    )


def shade(colour: Colour, factor: float) -> Colour:
    """A colour, darker or lighter by a factor."""
    red, green, blue = colour
    return min(255, int(red * factor)), min(255, int(green * factor)), min(255, int(blue * factor))


def grey(level: float) -> Colour:
    """A grey with a trace of blue, as asphalt and concrete have from above."""
    return shade((1000, 1003, 1010), level / 1000)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
