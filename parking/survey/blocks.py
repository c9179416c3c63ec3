"""A survey cut into blocks: each a core that it owns and a margin that it only looks at.

Network tiles lie on one grid of the whole survey, and a place belongs to the block whose core holds its representative
point. So the places do not depend on how the survey is cut, as long as each follows from what is near it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from parking.detection.confidence import mean_inside
from parking.detection.contract import Contract, InstanceRules, MapName
from parking.detection.detector import Detector
from parking.detection.instances import core_boxes
from parking.detection.occupancy import read_bays
from parking.detection.places import Maps, bay_rules, find_places, find_vehicles
from parking.detection.spots import Spot, find_spots, rules_for
from parking.survey.answers import Answers
from parking.survey.grid import Grid
from parking.survey.mosaic import Layer, Pixels, read_window
from parking.survey.tiling import Tiling

_MOST_LOOKS = 4
"""How often a block is looked at, each time twice as far to the sides where something is cut. What is longer still,
some hundred metres with the usual margin, is cut as it is seen."""
_EDGE = 2.5
"""Pixels from the margin's edge within which something may go on beyond it."""
_SEEN = 0.99
"""Share of a known bay that the imagery must show: what stands beside a hole may reach into it."""
_OFF_GRID = 0.123
"""Cores begin between pixels: a place that is drawn on pixels then never lies on the line between two blocks, where
its coordinates, rounded otherwise in each, would give it to both or to none."""


class Sides(NamedTuple):
    """One number for each side of a block, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """A block by its place among all; north comes first."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Found:
    """One place or vehicle in pixels of the grid."""

    polygon: Polygon
    point: tuple[float, float]
    """A point inside, by which it belongs to a block."""
    confidence: float
    layer: int
    """Of what it was seen in, counted from 1."""


@dataclass(frozen=True, slots=True)
class KnownBay:
    """A bay that somebody knows."""

    key: str
    """Follows from its outline."""
    polygon: Polygon
    """In pixels of the grid."""


@dataclass(frozen=True, slots=True)
class ReadBay:
    """A known bay, and what stands in it."""

    key: str
    occupied: float
    """Probability that it is taken."""
    point: tuple[float, float]
    """Inside, in pixels of the grid."""
    layer: int
    """Of what it was seen in, counted from 1."""


@dataclass(frozen=True, slots=True)
class BlockContent:
    """What a block's core holds."""

    places: tuple[Found, ...]
    vehicles: tuple[Found, ...]
    valid: NDArray[np.bool_]
    """(H, W) of the core: where there is data."""
    tiles: int
    """Run by the network."""
    bays: tuple[ReadBay, ...] = ()
    """Known bays, as far as the imagery shows the whole of each."""


def owner_of(x: float, y: float, tiling: Tiling) -> Block:
    """The block whose core holds a point."""
    column, row = (math.floor((at - _OFF_GRID - tiling.origin) / tiling.side) for at in (x, y))
    return Block(row, column)


def plan_blocks(boxes: Sequence[tuple[float, float, float, float]], tiling: Tiling) -> list[Block]:
    """The blocks whose cores touch any of these boxes, each (left, top, right, bottom) in pixels."""
    found = {
        Block(row, column)
        for left, top, right, bottom in boxes
        for row, column in product(tiling.blocks_over(top, bottom), tiling.blocks_over(left, right))
    }
    return sorted(found)


def core_of(block: Block, tiling: Tiling) -> tuple[int, int, int, int]:
    """Left, top, right and bottom pixel of what a block owns."""
    left, top = tiling.start(block.column), tiling.start(block.row)
    return left, top, left + tiling.side, top + tiling.side


def survey_block(
    detector: Detector,
    layers: Sequence[Layer],
    grid: Grid,
    tiling: Tiling,
    block: Block,
    threshold: float | None,
    bays: Sequence[KnownBay] = (),
) -> BlockContent:
    """Find what a block's core holds.

    Where something that reaches into the core is cut by the margin's edge, the block is looked at again with twice the
    margin on that side: a free kerb without marks is many places, and how many follows from the whole of it.

    Args:
        detector: a model whose tiles and contract the tiling is of.
        layers: what lies there, the topmost first.
        grid: of the survey.
        tiling: of the survey.
        block: which.
        threshold: instead of the contract's.
        bays: known ones whose points lie in the core.
    """
    margins, answers = Sides(*[tiling.margin] * 4), Answers(detector, tiling)
    for _ in range(_MOST_LOOKS):
        content, cut = _content(answers, layers, grid, tiling, block, margins, threshold, bays)
        if not any(cut):
            break
        margins = Sides(*(2 * margin if more else margin for margin, more in zip(margins, cut, strict=True)))
    return content


def _content(
    answers: Answers,
    layers: Sequence[Layer],
    grid: Grid,
    tiling: Tiling,
    block: Block,
    margins: Sides,
    threshold: float | None,
    bays: Sequence[KnownBay],
) -> tuple[BlockContent, tuple[bool, ...]]:
    """What the core holds, and the sides on which something that reaches into it was not seen whole."""
    core = left, top, right, bottom = core_of(block, tiling)
    region = Sides(left - margins.left, top - margins.top, right + margins.right, bottom + margins.bottom)
    columns, rows = tiling.tiles_over(region.left, region.right), tiling.tiles_over(region.top, region.bottom)
    x, y = columns.start * tiling.stride, rows.start * tiling.stride
    width, height = len(columns) * tiling.stride + tiling.overlap, len(rows) * tiling.stride + tiling.overlap
    seen = read_window(layers, grid, x, y, width, height)
    inside = (slice(top - y, bottom - y), slice(left - x, right - x))
    valid = seen.layer[inside] > 0
    if not valid.any():
        return BlockContent((), (), valid, 0), ()
    maps = answers.of(seen, x, y)
    cut = (slice(region.top - y, region.bottom - y), slice(region.left - x, region.right - x))
    part = Pixels(seen.rgb[cut], seen.layer[cut])
    contract = answers.detector.contract
    near = {name: values[cut] for name, values in zip(contract.maps, maps, strict=True)}
    places, place_boxes = _owned(_places(contract, part, near, grid, threshold), part, region, core)
    vehicles, vehicle_boxes = _owned(find_vehicles(near, contract, grid.gsd), part, region, core)
    read = _read_bays(contract, near, part, region, bays)
    boxes = [place_boxes, vehicle_boxes, *_core_boxes(contract, near, region, threshold)]
    boxes.append(shapely.bounds(np.array([bay.polygon for bay in bays], object)).reshape(-1, 4))
    return BlockContent(places, vehicles, valid, answers.tiles, read), _cut_sides(np.concatenate(boxes), region, core)


def _core_boxes(
    contract: Contract, maps: Maps, region: Sides, threshold: float | None
) -> Iterator[NDArray[np.float64]]:
    """Where the cores lie that places and vehicles come from."""
    rules: dict[MapName, InstanceRules | None] = {"free_core": contract.bays, "vehicle_core": contract.vehicles}
    if contract.bays:
        rules["free_core"] = bay_rules(contract, threshold)
    for name, one in rules.items():
        if one is not None:
            yield core_boxes(maps[name], one.core_threshold) + np.array([region.left, region.top] * 2, float)


def _cut_sides(boxes: NDArray[np.float64], region: Sides, core: tuple[int, int, int, int]) -> tuple[bool, ...]:
    """Left, top, right and bottom: where a box that reaches into the core may go on beyond the region.

    Args:
        boxes: (N, 4), left, top, right and bottom.
        region: what was looked at.
        core: of the block.
    """
    reaching = (boxes[:, :2] < core[2:]).all(axis=1) & (boxes[:, 2:] > core[:2]).all(axis=1)
    left, top, right, bottom = boxes[reaching].T
    return (
        bool((left < region.left + _EDGE).any()),
        bool((top < region.top + _EDGE).any()),
        bool((right > region.right - _EDGE).any()),
        bool((bottom > region.bottom - _EDGE).any()),
    )


def _read_bays(
    contract: Contract, maps: Maps, part: Pixels, region: Sides, bays: Sequence[KnownBay]
) -> tuple[ReadBay, ...]:
    """The bays of which the whole is seen."""
    if not bays or contract.known_bays is None:
        return ()
    polygons = np.array([bay.polygon for bay in bays], dtype=object)
    inside = shapely.within(polygons, shapely.box(*region))
    local = shapely.transform(polygons, lambda at: at - region[:2])
    valid = part.layer > 0
    chosen = [int(n) for n in np.flatnonzero(inside) if mean_inside(local[n], valid) >= _SEEN]
    rings = [tuple(map(tuple, shapely.get_coordinates(local[n])[:-1])) for n in chosen]
    read = []
    for n, bay in zip(chosen, read_bays(maps, rings, contract.known_bays), strict=True):
        x, y = shapely.get_coordinates(shapely.point_on_surface(polygons[n]))[0]
        layer = _layer_at(part, x - region[0], y - region[1])
        read.append(ReadBay(bays[n].key, bay.occupied, (float(x), float(y)), layer))
    return tuple(read)


def _places(contract: Contract, part: Pixels, maps: Maps, grid: Grid, threshold: float | None) -> tuple[Spot, ...]:
    changed = contract if threshold is None else contract.model_copy(update={"threshold": threshold})
    if contract.bays:
        # The contract as it is says what its own threshold amounts to for cores.
        return find_places(maps, contract, grid.gsd, threshold=threshold)
    probability, rgb = np.ascontiguousarray(maps["probability"]), np.ascontiguousarray(part.rgb)
    return find_spots(probability, rgb, rules_for(changed, grid.gsd), grid.gsd)


def _owned(
    spots: Sequence[Spot], part: Pixels, region: Sides, core: tuple[int, int, int, int]
) -> tuple[tuple[Found, ...], NDArray[np.float64]]:
    """Those of a region whose points lie in the core, and the boxes of all, (N, 4)."""
    polygons = np.array([Polygon(np.array(spot.ring) + region[:2]) for spot in spots], dtype=object)
    left, top, right, bottom = core
    points = shapely.get_coordinates(shapely.point_on_surface(polygons))
    found = []
    for spot, polygon, (x, y) in zip(spots, polygons, points, strict=True):
        if left <= x - _OFF_GRID < right and top <= y - _OFF_GRID < bottom:
            layer = _layer_at(part, x - region.left, y - region.top)
            found.append(Found(polygon, (float(x), float(y)), spot.confidence, layer))
    return tuple(found), shapely.bounds(polygons).reshape(-1, 4)


def _layer_at(part: Pixels, x: float, y: float) -> int:
    height, width = part.layer.shape
    return int(part.layer[min(int(y), height - 1), min(int(x), width - 1)])
