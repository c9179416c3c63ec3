"""A generated scene: an aerial picture of streets and car parks, with the exact outlines of the free places."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.annotations import Ring
from parking.data.imagery import Raster
from parking.data.polygons import area, clip
from parking.data.synthetic.blocks import furnish
from parking.data.synthetic.buildings import Building
from parking.data.synthetic.canvas import Canvas, Points, noise
from parking.data.synthetic.cars import Car, draw_cars
from parking.data.synthetic.plan import Plan, Slot, draw_plan
from parking.data.synthetic.streets import draw_streets, lane_of
from parking.data.synthetic.style import Style, draw_style
from parking.data.synthetic.trees import Tree

__all__ = ["SyntheticScene", "generate_scene", "name_of"]

_VISIBLE = 0.6
"""Share of a place that must lie in the image for it to count; less is taken, so that no half place is a riddle."""

_MOST_FREE = 22


@dataclass(frozen=True, slots=True)
class SyntheticScene:
    """A picture and its annotation.

    Attributes:
        raster: the picture; it knows its ground resolution, the PNG that is written of it does not.
        rings: the free places.
        vehicles: the cars, parked and driving, under trees and roofs too.
        style: what it looks like, for tests and demonstrations.
    """

    raster: Raster
    rings: tuple[Ring, ...]
    vehicles: tuple[Ring, ...]
    style: Style


def name_of(seed: int) -> str:
    """What the scene of a seed is called."""
    return f"scene-{seed:05d}"


def generate_scene(seed: int, size: int = 768, *, style: Style | None = None) -> SyntheticScene:
    """Draw a scene; the same seed, size and style give the same pixels.

    Args:
        seed: decides everything that `style` does not.
        size: edge in pixels.
        style: how it looks; at random by the seed if left out.
    """
    rng = np.random.default_rng(seed)
    own = draw_style(rng)
    style = style or own
    canvas = Canvas(size, style, rng)
    plan = draw_plan(canvas.reach, rng)
    free = _choose_free(canvas, plan)
    cars = _draw(canvas, plan, free)
    vehicles = tuple(ring for car in cars for ring in _outline_of(canvas, car))
    rings = tuple(ring for slot in free for ring in _outline(canvas, slot))
    return SyntheticScene(Raster(_expose(canvas), name=name_of(seed), gsd=style.gsd), rings, vehicles, style)


def _draw(canvas: Canvas, plan: Plan, free: list[Slot]) -> list[Car]:
    """From the ground up: surfaces, cars, the shadows on them, roofs, crowns; gives the cars."""
    buildings: list[Building] = []
    trees: list[Tree] = []
    for block in plan.blocks:
        more_buildings, more_trees = furnish(canvas, block)
        buildings += more_buildings
        trees += more_trees
    draw_streets(canvas, plan)
    trees += _street_trees(canvas, plan, free)
    cars = [*_parked(canvas, plan, free), *_driving(canvas, plan)]
    draw_cars(canvas, cars)
    shadows = np.zeros((canvas.size, canvas.size), np.uint8)
    for building in buildings:
        building.cast(canvas, shadows)
    for tree in trees:
        tree.cast(canvas, shadows)
    canvas.darken(cv2.blur(shadows, (3, 3)).astype(np.uint8, copy=False), canvas.style.shadow_depth)
    for building in buildings:
        if canvas.sees(building.corners.mean(axis=0), radius=60):
            building.draw(canvas)
    for tree in trees:
        tree.draw(canvas)
    return cars


def _choose_free(canvas: Canvas, plan: Plan) -> list[Slot]:
    """Which places stay empty: a few here and there, often two side by side, never a whole kerb."""
    rng = canvas.rng
    seen = [slot for slot in plan.slots if _share_seen(canvas, slot) >= _VISIBLE]
    wanted = min(round(canvas.style.free * _MOST_FREE), int(len(seen) * 0.4))
    free: list[int] = []
    chances = iter(rng.permutation(len(seen)).tolist())
    while len(free) < wanted and (first := next(chances, None)) is not None:
        for index in (first, first + 1) if rng.random() < 0.4 else (first,):
            if index < len(seen) and index not in free and _has_neighbours(seen, free, index):
                free.append(index)
    return [seen[index] for index in sorted(free)]


def _has_neighbours(seen: list[Slot], free: list[int], index: int) -> bool:
    """Without paint, only parked cars close by show that a gap is a place: at most two in a row."""
    slot = seen[index]
    row = [seen[near].run == slot.run for near in range(max(0, index - 2), min(len(seen), index + 3))]
    close = sum(abs(other - index) <= 2 and seen[other].run == slot.run for other in free)
    return slot.painted or (sum(row) >= 3 and close <= 1)


def _share_seen(canvas: Canvas, slot: Slot) -> float:
    if not canvas.sees(slot.centre, radius=4):
        return 0.0
    if canvas.sees(slot.centre, radius=-4):
        return 1.0
    whole = _ring(canvas, slot.corners)
    return sum(map(area, clip(whole, canvas.size, canvas.size))) / area(whole)


def _outline(canvas: Canvas, slot: Slot) -> list[Ring]:
    """The place without the paint round it, as a person would draw it."""
    inner = slot.centre + (slot.corners - slot.centre) * 0.94
    return clip(_ring(canvas, inner), canvas.size, canvas.size)


def _outline_of(canvas: Canvas, car: Car) -> list[Ring]:
    corners = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)])
    return clip(_ring(canvas, car.place(corners)), canvas.size, canvas.size)


def _ring(canvas: Canvas, points: Points) -> Ring:
    return tuple((float(x), float(y)) for x, y in canvas.to_pixels(points))


def _parked(canvas: Canvas, plan: Plan, free: list[Slot]) -> list[Car]:
    empty = {id(slot) for slot in free}
    shown = [slot for slot in plan.slots if id(slot) not in empty and canvas.sees(slot.centre, radius=4)]
    jitter = canvas.rng.normal(0, 0.1, (len(shown), 2))
    return [Car(slot.centre + shift, slot.heading, canvas.rng) for slot, shift in zip(shown, jitter, strict=True)]


def _driving(canvas: Canvas, plan: Plan) -> list[Car]:
    """A few cars on the lanes: a car does not make the ground beside it a place."""
    rng, cars = canvas.rng, []
    for street in plan.streets:
        for side in street.sides:
            for _ in range(int(rng.poisson(0.7))):
                centre = street.place([(float(rng.uniform(-canvas.reach, canvas.reach)), lane_of(side, street))])[0]
                heading = (np.pi / 2 if street.upright else 0.0) + (np.pi if side.sign > 0 else 0.0)
                if canvas.sees(centre, radius=4):
                    cars.append(Car(centre, heading, rng))
    return cars


def _street_trees(canvas: Canvas, plan: Plan, free: list[Slot]) -> list[Tree]:
    """Trees on the outer pavement of some streets, none over a free place: nobody could see it."""
    rng, trees = canvas.rng, []
    centres = np.array([slot.centre for slot in free]).reshape(-1, 2)
    for street in plan.streets:
        for side in street.sides:
            if rng.random() < 0.6:
                continue
            for along in np.arange(-canvas.reach, canvas.reach, float(rng.uniform(7, 14))):
                place = street.place([(along, side.sign * (street.reach(side) - 0.7))])[0]
                radius = float(rng.uniform(1.1, 2.3))
                clear = all(np.hypot(*(centres - place).T) > radius + 2.6) if len(free) else True
                if clear and canvas.sees(place, radius=radius * 4):
                    trees.append(Tree(place, radius, canvas.style.leaves, rng))
    return trees


def _expose(canvas: Canvas) -> NDArray[np.uint8]:
    """What a sensor makes of it: uneven surfaces, exposure, colour cast, blur, noise."""
    style, size, rng = canvas.style, canvas.size, canvas.rng
    metres = size * style.gsd
    uneven = 1 + 0.035 * noise(size, metres / 2.2, rng) + 0.025 * noise(size, metres / 0.5, rng)
    light = uneven * np.float32(style.exposure)
    cast = np.array([1 + 0.05 * style.warmth, 1.0, 1 - 0.07 * style.warmth], np.float32)
    lit = canvas.pixels * cast * light[:, :, None]
    image = np.asarray(cv2.GaussianBlur(lit, (0, 0), style.blur), np.float32)
    image += rng.standard_normal((size, size, 1), np.float32) * np.float32(style.grain)
    pixels: NDArray[np.uint8] = np.clip(image, 0, 255, out=image).astype(np.uint8)
    return pixels
