"""Where the tiles of the network and the blocks of a survey lie on its grid."""

import math

from pydantic import BaseModel, ConfigDict

from parking.detection.contract import Contract
from parking.survey.grid import Grid

__all__ = ["MARGIN_METRES", "Tiling"]

MARGIN_METRES = 24.0
"""How far a block looks beyond its core: further than a place or a vehicle is long. It looks further where one is not
seen whole."""


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

    origin: int
    """Where the core of block 0 begins: so that its margin begins where one tile ends, and takes in no part of it."""

    @classmethod
    def of(cls, contract: Contract, grid: Grid, block: int) -> "Tiling":
        """The tiling of a model, with blocks of about so many pixels along an edge.

        The margin is as wide as the tiles that it takes let it be: that costs nothing, and less is looked at again.
        """
        stride = contract.tile - contract.overlap
        wanted = math.ceil(MARGIN_METRES / grid.gsd)
        more = max(1, math.ceil((2 * wanted + contract.overlap) / stride))
        tiles = max(1, round(block / stride))
        margin = (more * stride - contract.overlap) // 2
        origin = contract.overlap + margin
        return cls(tile=contract.tile, overlap=contract.overlap, tiles=tiles, margin=margin, origin=origin)

    @property
    def stride(self) -> int:
        """Pixels from tile to tile."""
        return self.tile - self.overlap

    @property
    def side(self) -> int:
        """Edge of a core in pixels."""
        return self.tiles * self.stride

    def start(self, index: int) -> int:
        """First pixel of the core of a block."""
        return index * self.side + self.origin

    def blocks_over(self, low: float, high: float) -> range:
        """Blocks along an axis whose cores touch a stretch of pixels."""
        first, last = (math.floor((at - self.origin) / self.side) for at in (low, high))
        return range(first, last + 1)

    def tiles_over(self, low: int, high: int) -> range:
        """Tiles along an axis that touch pixels `low` to `high`."""
        return range((low - self.tile) // self.stride + 1, -(-high // self.stride))
