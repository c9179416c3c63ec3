"""Streets, car parks, and the paint on them."""

from collections.abc import Iterable

import numpy as np

from parking.data.synthetic.canvas import Canvas, rectangle
from parking.data.synthetic.plan import Block, Plan, Side, Slot, Street
from parking.data.synthetic.style import Colour, grey

__all__ = ["draw_car_park", "draw_streets", "lane_of"]

_PAINT_WIDTH = 0.13


def draw_streets(canvas: Canvas, plan: Plan) -> None:
    """Pavements, then roads over them, then paint: a junction is whatever the last of them leaves."""
    white = grey(float(canvas.rng.uniform(188, 232)))
    road = grey(canvas.style.asphalt)
    pavement = grey(min(200, canvas.style.asphalt + float(canvas.rng.uniform(22, 62))))
    for street in plan.streets:
        _pavement(canvas, street, pavement)
    for street in plan.streets:
        _road(canvas, street, road)
    for street in plan.streets:
        _wear(canvas, street)
        _middle_line(canvas, street, plan, white)
    _crossings(canvas, plan, road, white)
    draw_bays(canvas, (slot for slot in plan.slots if slot.painted), white)


def draw_car_park(canvas: Canvas, block: Block) -> None:
    """The ground of a car park, with a kerb round it and a strip of green at its edge."""
    tone = canvas.style.asphalt + float(canvas.rng.uniform(-14, 16))
    canvas.polygon(rectangle(block.x0 + 0.4, block.y0 + 0.4, block.x1 - 0.4, block.y1 - 0.4), grey(tone + 45))
    canvas.polygon(rectangle(block.x0 + 0.7, block.y0 + 0.7, block.x1 - 0.7, block.y1 - 0.7), grey(tone))


def draw_bays(canvas: Canvas, slots: Iterable[Slot], paint: Colour) -> None:
    """The lines between painted bays; the end towards the lane stays open where one drives in."""
    for slot in slots:
        if not canvas.sees(slot.centre, radius=6):
            continue
        first, second, third, fourth = slot.corners
        canvas.line(np.array([first, fourth]), paint, _PAINT_WIDTH)
        canvas.line(np.array([second, third]), paint, _PAINT_WIDTH)


def _pavement(canvas: Canvas, street: Street, colour: Colour) -> None:
    far = canvas.reach
    upper, lower = street.sides
    canvas.polygon(street.rectangle(-far, far, -street.reach(lower), street.reach(upper)), colour)


def _road(canvas: Canvas, street: Street, colour: Colour) -> None:
    far = canvas.reach
    canvas.polygon(street.rectangle(-far, far, -street.kerb, street.kerb), colour)
    for side in street.sides:
        outer = side.sign * (street.kerb + side.depth)
        stretches = side.stretches if street.recessed else [(-far, far)] if side.depth else []
        for start, end in stretches:
            canvas.polygon(street.rectangle(start, end, side.sign * street.kerb, outer), colour)
            _kerb_stone(canvas, street, start, end, outer)
        if not side.depth:
            _kerb_stone(canvas, street, -far, far, outer)


def _kerb_stone(canvas: Canvas, street: Street, start: float, end: float, at: float) -> None:
    canvas.line(street.place([(start, at), (end, at)]), grey(min(215, canvas.style.asphalt + 78)), 0.16)


def _wear(canvas: Canvas, street: Street) -> None:
    """Wheel tracks and mended patches."""
    far, rng, tone = canvas.reach, canvas.rng, canvas.style.asphalt
    for lane in (-0.5, 0.5):
        for track in (-0.8, 0.8):
            at = lane * street.kerb + track
            canvas.line(street.place([(-far, at), (far, at)]), grey(tone - 5), 0.45)
    for _ in range(int(rng.integers(2, 7))):
        along, across = float(rng.uniform(-far, far)), float(rng.uniform(-0.8, 0.5)) * street.kerb
        length, width = float(rng.uniform(1, 7)), float(rng.uniform(0.6, 1.6))
        canvas.polygon(
            street.rectangle(along, along + length, across, across + width), grey(tone + float(rng.uniform(-16, 10)))
        )


def _middle_line(canvas: Canvas, street: Street, plan: Plan, paint: Colour) -> None:
    if street.carriage < 5.8:
        return
    junctions = [(o.at - o.kerb - 9, o.at + o.kerb + 9) for o in plan.streets if o.upright != street.upright]
    for at in np.arange(-canvas.reach, canvas.reach, 4.5):
        if not any(start < at < end for start, end in junctions):
            canvas.line(street.place([(at, 0), (at + 2.2, 0)]), paint, _PAINT_WIDTH)


def _crossings(canvas: Canvas, plan: Plan, road: Colour, paint: Colour) -> None:
    """Clear each junction of kerbs and tracks, and paint zebras on some of its arms."""
    for street in plan.streets:
        for other in (o for o in plan.streets if o.upright != street.upright):
            inner = other.kerb + max(side.depth for side in other.sides) * (not other.recessed)
            canvas.polygon(
                street.rectangle(other.at - inner, other.at + inner, -street.kerb + 0.3, street.kerb - 0.3), road
            )
            for direction in (-1, 1):
                if canvas.rng.random() < 0.6:
                    side = other.sides[0 if direction > 0 else 1]
                    _zebra(canvas, street, other.at + direction * (other.kerb + side.depth + 1.2), direction, paint)


def _zebra(canvas: Canvas, street: Street, start: float, direction: int, paint: Colour) -> None:
    for at in np.arange(-street.kerb + 0.5, street.kerb - 0.5, 1.0):
        canvas.polygon(street.rectangle(start, start + direction * 2.6, at, at + 0.5), paint)


def lane_of(side: Side, street: Street) -> float:
    """Distance of the middle of a side's lane from the middle of the street."""
    return side.sign * street.kerb / 2
