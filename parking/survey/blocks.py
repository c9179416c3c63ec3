"""A survey cut into blocks: each a core that it owns and a margin that it only looks at.

Network tiles lie on one grid of the whole survey, and a place belongs to the block whose core holds its representative
point. So the places do not depend on how the survey is cut, as long as each follows from what is near it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from shapely import Polygon

from parking.data.tiles import tile_weight
from parking.detection.confidence import mean_inside
from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.detection.occupancy import read_bays
from parking.detection.places import Maps, find_places, find_vehicles
from parking.detection.spots import Spot, find_spots, rules_for
from parking.survey.grid import Grid
from parking.survey.mosaic import Layer, Pixels, read_window

MARGIN_METRES = 24.0
"""How far a block looks beyond its core: further than a place or a vehicle is long. It looks further where one is not
seen whole."""
_MOST_DOUBLINGS = 3
_SEEN = 0.99
"""Share of a known bay that the imagery must show: what stands beside a hole may reach into it."""
_OFF_GRID = 0.123
"""Cores begin between pixels: a place that is drawn on pixels then never lies on the line between two blocks, where
its coordinates, rounded otherwise in each, would give it to both or to none."""


class Tiling(BaseModel):
    """Where tiles and blocks lie on the grid."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    tile: int
    """Edge of a network tile in pixels."""

    overlap: int
    """Pixels that neighbouring tiles share."""

    tiles: int
    """Tiles along an edge of a block's core."""

    margin: int
    """Pixels beyond the core that are looked at."""

    @classmethod
    def of(cls, contract: Contract, grid: Grid, block: int) -> "Tiling":
        """The tiling of a model, with blocks of about so many pixels along an edge.

        A margin that the tiles at the core's edge cover anyway costs nothing.
        """
        stride = contract.tile - contract.overlap
        margin = max(contract.tile // 2 - contract.overlap, math.ceil(MARGIN_METRES / grid.gsd))
        tiles = max(1, round(block / stride))
        return cls(tile=contract.tile, overlap=contract.overlap, tiles=tiles, margin=margin)

    @property
    def stride(self) -> int:
        """Pixels from tile to tile."""
        return self.tile - self.overlap

    @property
    def side(self) -> int:
        """Edge of a core in pixels."""
        return self.tiles * self.stride

    def start(self, index: int) -> int:
        """First pixel of the core of a block: the middle of a tile."""
        return index * self.side + self.tile // 2

    def blocks_over(self, low: float, high: float) -> range:
        """Blocks along an axis whose cores touch a stretch of pixels."""
        first, last = (math.floor((at - self.tile // 2) / self.side) for at in (low, high))
        return range(first, last + 1)

    def tiles_over(self, low: int, high: int) -> range:
        """Tiles along an axis that touch pixels `low` to `high`."""
        return range((low - self.tile) // self.stride + 1, -(-high // self.stride))


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
    column, row = (math.floor((at - _OFF_GRID - tiling.tile // 2) / tiling.side) for at in (x, y))
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

    A place that is cut by the margin's edge, and reaches into the core, is looked at again with twice the margin; so is
    a known bay.

    Args:
        detector: a model whose tiles and contract the tiling is of.
        layers: what lies there, the topmost first.
        grid: of the survey.
        tiling: of the survey.
        block: which.
        threshold: instead of the contract's.
        bays: known ones whose points lie in the core.
    """
    margin = tiling.margin
    for _ in range(_MOST_DOUBLINGS):
        content, whole = _content(detector, layers, grid, tiling, block, margin, threshold, bays)
        if whole:
            break
        margin *= 2
    return content


def _content(
    detector: Detector,
    layers: Sequence[Layer],
    grid: Grid,
    tiling: Tiling,
    block: Block,
    margin: int,
    threshold: float | None,
    bays: Sequence[KnownBay],
) -> tuple[BlockContent, bool]:
    """What the core holds, and whether all that reaches into it was seen whole."""
    left, top, right, bottom = core_of(block, tiling)
    region = (left - margin, top - margin, right + margin, bottom + margin)
    columns, rows = tiling.tiles_over(region[0], region[2]), tiling.tiles_over(region[1], region[3])
    x, y = columns.start * tiling.stride, rows.start * tiling.stride
    width, height = len(columns) * tiling.stride + tiling.overlap, len(rows) * tiling.stride + tiling.overlap
    seen = read_window(layers, grid, x, y, width, height)
    inside = (slice(top - y, bottom - y), slice(left - x, right - x))
    valid = seen.layer[inside] > 0
    if not valid.any():
        return BlockContent((), (), valid, 0), True
    maps, tiles = _maps(detector, seen, tiling)
    cut = (slice(region[1] - y, region[3] - y), slice(region[0] - x, region[2] - x))
    part = Pixels(np.ascontiguousarray(seen.rgb[cut]), seen.layer[cut])
    near = {name: np.ascontiguousarray(maps[cut][:, :, n]) for n, name in enumerate(detector.contract.maps)}
    core = (left, top, right, bottom)
    places, whole = _owned(_places(detector.contract, part, near, grid, threshold), part, region, core)
    vehicles, all_whole = _owned(find_vehicles(near, detector.contract, grid.gsd), part, region, core)
    read, all_read = _read_bays(detector.contract, near, part, region, bays)
    return BlockContent(places, vehicles, valid, tiles, read), whole and all_whole and all_read


def _read_bays(
    contract: Contract, maps: Maps, part: Pixels, region: tuple[int, int, int, int], bays: Sequence[KnownBay]
) -> tuple[tuple[ReadBay, ...], bool]:
    """The bays of which the whole is seen, and whether all lie well inside the region."""
    if not bays or contract.known_bays is None:
        return (), True
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
    return tuple(read), bool(inside.all())


def _maps(detector: Detector, seen: Pixels, tiling: Tiling) -> tuple[NDArray[np.float32], int]:
    """The maps of a window of whole tiles, (H, W, K), and how many tiles were run.

    They are added up in the order of the survey's tiles. A tile without data costs nothing: nothing is there.
    """
    height, width = seen.layer.shape
    total = np.zeros((height, width, len(detector.contract.maps)), np.float32)
    weights = np.zeros((height, width, 1), np.float32)
    weight, run = tile_weight(tiling.tile)[:, :, None], 0
    for top, left in _corners(height, width, tiling):
        there = (slice(top, top + tiling.tile), slice(left, left + tiling.tile))
        weights[there] += weight
        if seen.layer[there].any():
            total[there] += detector.run_tile(seen.rgb[there]) * weight
            run += 1
    total /= weights
    total[seen.layer == 0] = 0
    return total, run


def _corners(height: int, width: int, tiling: Tiling) -> Iterator[tuple[int, int]]:
    return product(range(0, height - tiling.tile + 1, tiling.stride), range(0, width - tiling.tile + 1, tiling.stride))


def _places(contract: Contract, part: Pixels, maps: Maps, grid: Grid, threshold: float | None) -> tuple[Spot, ...]:
    changed = contract if threshold is None else contract.model_copy(update={"threshold": threshold})
    if contract.bays:
        # The contract as it is says what its own threshold amounts to for cores.
        return find_places(maps, contract, grid.gsd, threshold=threshold)
    return find_spots(maps["probability"], part.rgb, rules_for(changed, grid.gsd), grid.gsd)


def _owned(
    spots: Sequence[Spot],
    part: Pixels,
    region: tuple[int, int, int, int],
    core: tuple[int, int, int, int],
) -> tuple[tuple[Found, ...], bool]:
    """Those of a region whose points lie in the core, and whether all that reach into it lie well inside the region."""
    polygons = np.array([Polygon(np.array(spot.ring) + region[:2]) for spot in spots], dtype=object)
    left, top, right, bottom = core
    edge = shapely.box(region[0] + 1.5, region[1] + 1.5, region[2] - 1.5, region[3] - 1.5)
    reaching = polygons[shapely.intersects(polygons, shapely.box(*core))] if len(polygons) else polygons
    points = shapely.get_coordinates(shapely.point_on_surface(polygons))
    found = []
    for spot, polygon, (x, y) in zip(spots, polygons, points, strict=True):
        if left <= x - _OFF_GRID < right and top <= y - _OFF_GRID < bottom:
            layer = _layer_at(part, x - region[0], y - region[1])
            found.append(Found(polygon, (float(x), float(y)), spot.confidence, layer))
    return tuple(found), bool(shapely.within(reaching, edge).all())


def _layer_at(part: Pixels, x: float, y: float) -> int:
    height, width = part.layer.shape
    return int(part.layer[min(int(y), height - 1), min(int(x), width - 1)])
