"""What a survey will do, before anything is computed: its grid, its layers, and the blocks that hold something."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from pydantic import BaseModel, ConfigDict

from parking.detection.contract import Contract
from parking.errors import SurveyError
from parking.survey.blocks import Block, KnownBay, core_of, plan_blocks
from parking.survey.grid import SAME_GSD, Bounds, Grid, grid_at, grid_on, is_true_to_scale, local_crs, width
from parking.survey.mosaic import Layer, footprint, group_sources, layer_stretch, touch
from parking.survey.sources import Source
from parking.survey.stretch import Stretch
from parking.survey.tiling import Tiling

FORMAT = 2
"""Raised when the same block would come out otherwise: blocks that were kept by older code are then computed anew."""


class Frame(BaseModel):
    """What stays the same when a survey goes on, or gets newer imagery."""

    model_config = ConfigDict(frozen=True)

    grid: Grid
    stretches: dict[str, Stretch] = {}
    bounds: Bounds


@dataclass(frozen=True)
class Plan:
    """A survey, ready to be computed."""

    grid: Grid
    tiling: Tiling
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    boxes: tuple[tuple[tuple[float, float, float, float], ...], ...]
    """For each layer, of each source: left, top, right, bottom in pixels of the grid."""

    def there(self, block: Block) -> tuple[Layer, ...]:
        """The layers that a block may read, each with those of its sources that lie there.

        A block looks beyond its core as far as it must, so it gets what lies within the next blocks too.
        """
        left, top, right, bottom = core_of(block, self.tiling)
        reach = 8 * self.tiling.margin + 2 * self.tiling.tile
        near = (left - reach, top - reach, right + reach, bottom + reach)
        found = []
        for layer, boxes in zip(self.layers, self.boxes, strict=True):
            sources = tuple(s for s, box in zip(layer.sources, boxes, strict=True) if touch(box, near))
            if sources:
                found.append(Layer(sources=sources, stretch=layer.stretch))
        return tuple(found)


def fingerprint(
    block: Block,
    layers: Sequence[Layer],
    plan: Plan,
    model: str,
    threshold: float | None,
    bays: Sequence[KnownBay] = (),
) -> str:
    """What a block follows from: the same content gives the same name, and a finished block is known by it."""
    seen = [
        {
            "stretch": layer.stretch.model_dump(),
            "sources": [
                # Of a server any part is the same imagery: an area that grows leaves what is finished.
                (s.checksum, s.crs, s.lattice if s.service else s.transform, s.overview, s.bands, s.date, s.name)
                for s in layer.sources
            ],
        }
        for layer in layers
    ]
    parts = [FORMAT, plan.grid.model_dump(), plan.tiling.model_dump(), block.row, block.column, seen, model, threshold]
    parts += [[bay.key for bay in bays]] if bays else []
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]


def make_frame(sources: Sequence[Source], gsd: float) -> Frame:
    """The grid for these sources: that of the imagery itself where it has the resolution that the model wants.

    Raises:
        SurveyError: the imagery spans more than one projection can measure.
    """
    bounds = union([source.bounds for source in sources])
    fitting = {source.crs for source in sources}
    crs = fitting.pop() if len(fitting) == 1 else None
    if crs is None or not is_true_to_scale(crs, bounds):
        return Frame(grid=grid_at(local_crs(bounds), gsd), bounds=bounds)
    same = [s.lattice for s in sources if s.lattice and abs(s.gsd / gsd - 1) <= SAME_GSD]
    if not same:
        return Frame(grid=grid_at(crs, gsd), bounds=bounds)
    # The lattice that most sources have, and among these the first: one odd file must not have all others resampled.
    common = max(dict.fromkeys(same), key=same.count)
    return Frame(grid=grid_on(common), bounds=bounds)


def make_layers(sources: Sequence[Source], stretches: dict[str, Stretch]) -> tuple[Layer, ...]:
    """Layers with their stretch; what a survey has settled stays, so that newer files change no older block.

    Args:
        sources: the topmost first.
        stretches: those that are settled, by the layer's name; it is added to.

    Raises:
        SurveyError: there are more kinds of sources than can be told apart.
    """
    groups = group_sources(sources)
    if len(groups) > np.iinfo(np.uint8).max:
        raise SurveyError(
            f"The imagery has {len(groups)} kinds of dates, grids and values; at most 255 can be read together. Put "
            "files of one flight on one grid, as `gdalwarp` does."
        )
    layers = []
    for group in groups:
        first = group[0]
        name = f"{first.crs} {first.lattice or first.path} {first.date} {first.dtype} {first.bands}"
        if name not in stretches:
            stretches[name] = Stretch() if first.dtype == "uint8" else layer_stretch(group)
        layers.append(Layer(sources=group, stretch=stretches[name]))
    return tuple(layers)


def make_plan(
    grid: Grid, layers: tuple[Layer, ...], contract: Contract, block: int, area: shapely.Geometry | None
) -> Plan:
    """The blocks that hold a source, and a part of the area.

    Raises:
        SurveyError: there is none.
    """
    tiling = Tiling.of(contract, grid, block)
    boxes = tuple(tuple(grid.pixels_of(footprint(s, grid)) for s in layer.sources) for layer in layers)
    blocks = plan_blocks([box for of_layer in boxes for box in of_layer], tiling)
    if area is not None:
        shapely.prepare(area)
        blocks = [one for one in blocks if area.intersects(_core_box(one, tiling, grid))]
    if not blocks:
        raise SurveyError(
            "The area touches no imagery. Check the area's CRS, or the order of --bbox: west,south,east,north."
        )
    return Plan(grid, tiling, layers, tuple(blocks), boxes)


def _core_box(block: Block, tiling: Tiling, grid: Grid) -> shapely.Geometry:
    left, top, right, bottom = core_of(block, tiling)
    (west, north), (east, south) = (
        (grid.x + column * grid.step, grid.y - row * grid.step) for column, row in ((left, top), (right, bottom))
    )
    return shapely.box(west, south, east, north)


def union(bounds: Sequence[Bounds]) -> Bounds:
    """The box of several boxes of longitudes and latitudes, across the antimeridian where that is shorter."""
    start = bounds[0][0]
    west, east = 0.0, 0.0
    for one in bounds:
        left = (one[0] - start + 180) % 360 - 180
        west, east = min(west, left), max(east, left + width(one[0], one[2]))
    south, north = min(one[1] for one in bounds), max(one[3] for one in bounds)
    if east - west >= 360:
        return -180.0, south, 180.0, north
    return _longitude(start + west), south, _longitude(start + east), north


def _longitude(value: float) -> float:
    """From -180 to 180, and to the ten-millionth of a degree, so that sums do not show."""
    return round(value if -180 <= value <= 180 else (value + 180) % 360 - 180, 9)


def overlap(one: Bounds, other: Bounds) -> bool:
    """Whether two boxes of longitudes and latitudes have ground in common."""
    if one[1] >= other[3] or other[1] >= one[3]:
        return False
    return any((b[0] - a[0]) % 360 < width(a[0], a[2]) for a, b in ((one, other), (other, one)))
