"""The plan of a scene: streets, the blocks between them, and every place where a car can park."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from parking.data.synthetic.canvas import Points, rectangle

__all__ = ["Block", "Plan", "Side", "Slot", "Street", "draw_plan"]

Parking = Literal["none", "kerb", "marked", "across"]
"""Along a kerb without marks, along it in painted bays, or across it in painted bays."""

Use = Literal["houses", "flats", "car park", "green", "works"]

KERB_DEPTH = 2.1
ACROSS_DEPTH = 5.0
JUNCTION = 9.0
"""Metres from a crossing street within which nobody parks."""


@dataclass
class Slot:
    """A place for one car.

    Attributes:
        corners: (4, 2) metres.
        heading: direction of a car in it, radians.
        painted: whether marks show it.
        run: places of one number adjoin.
    """

    corners: Points
    heading: float
    painted: bool
    run: int

    @cached_property
    def centre(self) -> Points:
        """Its middle, metres."""
        middle: Points = (self.corners[0] + self.corners[2]) / 2
        return middle


@dataclass(slots=True)
class Side:
    """One side of a street: how one parks there, and the stretches where one may.

    Attributes:
        sign: 1 or -1, the side's direction from the middle of the street.
        parking: how one parks.
        depth: metres that the parking takes, 0 where nobody parks.
        stretches: where one parks, metres along the street.
    """

    sign: int
    parking: Parking
    depth: float
    stretches: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Street:
    """A straight street.

    Attributes:
        upright: runs along y instead of x.
        at: its middle, on the other axis.
        carriage: width of the lanes.
        pavement: width of each pavement.
        sides: the sides of larger and of smaller coordinate.
        recessed: the pavement reaches out between the stretches of parking.
    """

    upright: bool
    at: float
    carriage: float
    pavement: float
    sides: tuple[Side, Side]
    recessed: bool

    @property
    def kerb(self) -> float:
        """Distance from the middle to where the parking begins (the pavement, if nobody parks)."""
        return self.carriage / 2

    def reach(self, side: Side) -> float:
        """Distance from the middle to the outer edge of a pavement."""
        return self.kerb + side.depth + self.pavement

    def place(self, points: Points | Sequence[tuple[float, float]]) -> Points:
        """Metres of the scene from (along the street, across it from its middle)."""
        moved: Points = np.asarray(points, float) + np.array((0.0, self.at))
        return moved[..., ::-1] if self.upright else moved

    def rectangle(self, start: float, end: float, near: float, far: float) -> Points:
        """A rectangle along the street, given by two stations and two distances from its middle."""
        return self.place(rectangle(start, near, end, far))


@dataclass(slots=True)
class Block:
    """The ground between streets."""

    x0: float
    y0: float
    x1: float
    y1: float
    use: Use


@dataclass(slots=True)
class Plan:
    """Everything that a scene's picture and its annotation are drawn from."""

    streets: list[Street]
    blocks: list[Block]
    slots: list[Slot] = field(default_factory=list)


def draw_plan(reach: float, rng: np.random.Generator) -> Plan:
    """Lay out a square of ground with corners `reach` metres from its middle."""
    rows = [_street(False, at, rng) for at in _positions(reach, 42, 78, rng)]
    columns = [_street(True, at, rng) for at in _positions(reach, 60, 120, rng)]
    plan = Plan([*rows, *columns], _blocks(rows, columns, reach, rng))
    for street in plan.streets:
        _stretch(street, columns if not street.upright else rows, reach, rng)
        for side in street.sides:
            plan.slots += _street_slots(street, side, rng)
    for block in plan.blocks:
        if block.use == "car park":
            plan.slots += _lot_slots(block, rng)
    return plan


def _positions(reach: float, least: float, most: float, rng: np.random.Generator) -> list[float]:
    at = -reach + float(rng.uniform(0, most * 0.7))
    found = []
    while at < reach:
        found.append(at)
        at += float(rng.uniform(least, most))
    return found


def _street(upright: bool, at: float, rng: np.random.Generator) -> Street:
    kinds: tuple[Parking, ...] = ("none", "kerb", "marked", "across")
    shares = (0.45, 0.35, 0.15, 0.05) if upright else (0.12, 0.45, 0.28, 0.15)
    sides = []
    for sign in (1, -1):
        parking = kinds[int(rng.choice(4, p=shares))]
        depth = {"none": 0.0, "kerb": KERB_DEPTH, "marked": KERB_DEPTH, "across": ACROSS_DEPTH}[parking]
        sides.append(Side(sign, parking, depth))
    return Street(
        upright,
        at,
        carriage=float(rng.uniform(5.2, 8.0)),
        pavement=float(rng.uniform(1.6, 3.2)),
        sides=(sides[0], sides[1]),
        recessed=bool(rng.random() < 0.5),
    )


def _stretch(street: Street, crossing: list[Street], reach: float, rng: np.random.Generator) -> None:
    """Find where one may park: away from junctions, and broken by drives."""
    stops = [-reach, *(edge for other in crossing for edge in _junction(other)), reach]
    for side in street.sides:
        if side.parking == "none":
            continue
        for start, end in zip(stops[::2], stops[1::2], strict=True):
            at = start
            while end - at > 6:
                length = min(end - at, float(rng.uniform(16, 60)))
                side.stretches.append((at, at + length))
                at += length + float(rng.uniform(3.2, 5.5))


def _junction(other: Street) -> tuple[float, float]:
    upper, lower = other.sides
    return other.at - other.reach(lower) - JUNCTION + 2, other.at + other.reach(upper) + JUNCTION - 2


def _street_slots(street: Street, side: Side, rng: np.random.Generator) -> list[Slot]:
    across = side.parking == "across"
    width = float(rng.uniform(2.35, 2.6) if across else rng.uniform(5.0, 5.6))
    near, far = side.sign * street.kerb, side.sign * (street.kerb + side.depth)
    along = np.pi / 2 if street.upright else 0.0
    heading = along + (np.pi / 2 if across else 0.0) + (np.pi if side.sign > 0 else 0.0)
    slots = []
    for start, end in side.stretches:
        count = int((end - start) // width)
        side_run = int(rng.integers(1 << 30))
        for index in range(count):
            corners = street.rectangle(start + index * width, start + (index + 1) * width, near, far)
            slots.append(Slot(corners, heading, side.parking != "kerb", side_run))
    return slots


def _blocks(rows: list[Street], columns: list[Street], reach: float, rng: np.random.Generator) -> list[Block]:
    uses: tuple[Use, ...] = ("houses", "flats", "car park", "green", "works")
    found = []
    for y0, y1 in _gaps(rows, reach):
        for x0, x1 in _gaps(columns, reach):
            use = uses[int(rng.choice(5, p=(0.48, 0.2, 0.13, 0.08, 0.11)))]
            if min(x1 - x0, y1 - y0) > 4:
                found.append(Block(x0, y0, x1, y1, use))
    return found


def _gaps(streets: list[Street], reach: float) -> Iterator[tuple[float, float]]:
    begin = -reach
    for street in streets:
        upper, lower = street.sides
        yield begin, street.at - street.reach(lower)
        begin = street.at + street.reach(upper)
    yield begin, reach


def _lot_slots(block: Block, rng: np.random.Generator) -> list[Slot]:
    """Rows of bays on both sides of aisles, square to them or slanted."""
    slant = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.4, 1.8)) * (1 if rng.random() < 0.5 else -1)
    width, depth, aisle = float(rng.uniform(2.35, 2.6)), float(rng.uniform(4.8, 5.2)), float(rng.uniform(5.5, 6.8))
    slots: list[Slot] = []
    y, facing = block.y0 + 1.2, 1
    while y + depth + 1.0 < block.y1:
        x0, x1 = block.x0 + 4.5 + abs(slant), block.x1 - 4.5 - abs(slant)
        slots += _bay_row(x0, x1, y, width, depth, slant * facing, facing, rng)
        y += depth + (aisle if facing > 0 else 0.5)
        facing = -facing
    return slots


def _bay_row(
    x0: float, x1: float, y: float, width: float, depth: float, slant: float, facing: int, rng: np.random.Generator
) -> list[Slot]:
    run, heading = int(rng.integers(1 << 30)), float(np.arctan2(depth, slant))
    shape = np.array([(0, 0), (width, 0), (width + slant, depth), (slant, depth)], float)
    count = max(0, int((x1 - x0) // width))
    return [
        Slot(shape + np.array((x0 + index * width, y)), heading + (np.pi if facing < 0 else 0.0), True, run)
        for index in range(count)
    ]
