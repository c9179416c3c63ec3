"""What the network answers to the tiles of a block, added up to maps."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parking.data.tiles import tile_weight, weight_along
from parking.detection.detector import Detector
from parking.survey.mosaic import Pixels
from parking.survey.tiling import Tiling

__all__ = ["Answers"]

_EXACT = np.float32(2**22)
"""Parts of 1 that answers are rounded to: sums up to 1 of such have no rounding error in 24 bits."""


class Answers:
    """The network's answers to the tiles of a block, added up; a second look runs only the tiles that it adds."""

    def __init__(self, detector: Detector, tiling: Tiling) -> None:
        self.detector, self.tiling = detector, tiling
        self.tiles = 0
        """Run so far."""
        self._weight = _share_of_tile(tiling)
        self._known: tuple[int, int, NDArray[np.float32]] | None = None
        """First column and row of the maps of the last window."""

    def of(self, seen: Pixels, x: int, y: int) -> NDArray[np.float32]:
        """The maps of a window of whole tiles, (K, H, W).

        A tile without data costs nothing: nothing is there. Only where all tiles that touch a pixel lie in the window
        is it right.

        Args:
            seen: the window's pixels.
            x: its first column; no window begins or ends inside an earlier one.
            y: its first row.
        """
        tile, (height, width) = self.tiling.tile, seen.layer.shape
        maps = np.zeros((len(self.detector.contract.maps), height, width), np.float32)
        old = self._take_over(maps, x, y)
        weighted = np.empty_like(self._weight)
        for top, left in _corners(height, width, self.tiling):
            there = (slice(top, top + tile), slice(left, left + tile))
            if old.contains(left, top, tile) or not seen.layer[there].any():
                continue
            for total, answer in zip(maps, self.detector.run_tile(seen.rgb[there]), strict=True):
                np.multiply(answer, self._weight, out=weighted)
                total[there] += _rounded(weighted)
            self.tiles += 1
        missing = seen.layer == 0
        if missing.any():
            for total in maps:
                total[missing] = 0
        self._known = x, y, maps
        return maps

    def _take_over(self, maps: NDArray[np.float32], x: int, y: int) -> "_Window":
        """Put in what is known, and say where it lies in the window."""
        if self._known is None:
            return _Window(0, 0, 0, 0)
        left, top, known = self._known
        old = _Window(left - x, top - y, known.shape[2], known.shape[1])
        maps[:, old.top : old.top + old.height, old.left : old.left + old.width] = known
        self._known = None
        return old


class _Window(NamedTuple):
    """A part of a window, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def contains(self, left: int, top: int, side: int) -> bool:
        """Whether a square lies in it."""
        across, down = left - self.left, top - self.top
        return 0 <= across <= self.width - side and 0 <= down <= self.height - side


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares of an answer, in place, to a multiple that makes sums of them exact, whatever their order."""
    values *= _EXACT
    np.rint(values, out=values)
    values /= _EXACT
    return values


def _share_of_tile(tiling: Tiling) -> NDArray[np.float32]:
    """(tile, tile), what a tile has to say of each of its pixels; all that touch a pixel add up to 1."""
    around = (tiling.tile - 1) // tiling.stride
    begins = [number * tiling.stride for number in range(-around, around + 1)]
    along = weight_along(begins, tiling.tile, tiling.tile)
    return tile_weight(tiling.tile, tiling.tile) / (along[:, None] * along)


def _corners(height: int, width: int, tiling: Tiling) -> Iterator[tuple[int, int]]:
    return product(range(0, height - tiling.tile + 1, tiling.stride), range(0, width - tiling.tile + 1, tiling.stride))
