"""Predict an image of any size tile by tile, and blend the tiles so that their seams do not show."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_tiles", "in_all_orientations", "stitch", "tile_weight", "weight_along"]

TilePredictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From tiles, uint8 (N, tile, tile, 3), to their maps, float (N, tile, tile, K)."""


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where the tiles along one axis begin, as few as cover it with at least `overlap` pixels in common.

    What the tiles cover beyond the image is shared out to both ends, so the first start can be negative: the pixels
    at the border then get context, by reflection, at no cost.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"The overlap ({overlap}) must be at least 0 and smaller than the tile ({tile}).")
    stride = tile - overlap
    count = max(1, math.ceil((length - overlap) / stride))
    spare = overlap + count * stride - length
    return [index * stride - spare // 2 for index in range(count)]


def tile_weight(tile: int) -> NDArray[np.float32]:
    """(tile, tile) weights for blending: about 1 in the middle, falling to the edge, where a network sees less; > 0."""
    ramp = _ramp(tile)
    return ramp[:, None] * ramp


def _ramp(tile: int) -> NDArray[np.float32]:
    centres = np.arange(tile, dtype=np.float32) + 0.5
    ramp: NDArray[np.float32] = np.minimum(centres, tile - centres) / np.float32(tile / 2)
    return ramp


def cut_tiles(pixels: NDArray[np.uint8], tile: int, overlap: int) -> Iterator[NDArray[np.uint8]]:
    """The tiles that `stitch` runs over, one by one: (tile, tile, 3)."""
    height, width = pixels.shape[:2]
    for top, left in product(starts(height, tile, overlap), starts(width, tile, overlap)):
        yield _cut(pixels, top, left, tile)


def stitch(
    pixels: NDArray[np.uint8],
    predict: TilePredictor,
    *,
    tile: int,
    overlap: int,
    batch: int = 4,
) -> tuple[NDArray[np.float32], ...]:
    """Run `predict` over overlapping tiles and blend what it says.

    Args:
        pixels: (H, W, 3), any size from 1 x 1.
        predict: from (N, tile, tile, 3), N ≤ batch, to K maps, (N, tile, tile, K), in [0, 1].
        tile: edge of a tile in pixels.
        overlap: pixels that neighbouring tiles share.
        batch: tiles cut and predicted at once; memory beyond the result grows with it alone.

    Returns:
        K maps, (H, W) in [0, 1], each in memory of its own: whoever keeps one need not keep all.
    """
    height, width = pixels.shape[:2]
    tops, lefts = starts(height, tile, overlap), starts(width, tile, overlap)
    weight = tile_weight(tile)
    maps: list[NDArray[np.float32]] = []
    corners = product(tops, lefts)
    while chosen := list(islice(corners, batch)):
        answers = predict(np.stack([_cut(pixels, top, left, tile) for top, left in chosen]))
        maps = maps or [np.zeros((height, width), np.float32) for _ in range(answers.shape[3])]
        for (top, left), answer in zip(chosen, answers, strict=True):
            rows, columns = _inside(top, tile, height), _inside(left, tile, width)
            seen = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
            for number, values in enumerate(maps):
                values[rows, columns] += answer[seen][..., number] * weight[seen]
    # The weights of a grid of tiles are the product of those along its axes: no second (H, W) array is needed.
    down, across = weight_along(tops, tile, height)[:, None], weight_along(lefts, tile, width)
    for values in maps:
        values /= down
        values /= across
        np.clip(values, 0.0, 1.0, out=values)
    return tuple(maps)


def _cut(pixels: NDArray[np.uint8], top: int, left: int, tile: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return pixels[np.ix_(_reflected(top, tile, height), _reflected(left, tile, width))]


def _reflected(start: int, tile: int, length: int) -> NDArray[np.intp]:
    """Indices start … start + tile, mirrored at 0 and length - 1 as often as it takes."""
    period = max(1, 2 * (length - 1))
    index = np.abs(np.arange(start, start + tile)) % period
    return np.asarray(np.minimum(index, period - index), np.intp)


def _inside(start: int, tile: int, length: int) -> slice:
    return slice(max(0, start), min(length, start + tile))


def weight_along(begins: Sequence[int], tile: int, length: int) -> NDArray[np.float32]:
    """(length,), what the weights of tiles that begin at these pixels add up to along one axis."""
    ramp, total = _ramp(tile), np.zeros(length, np.float32)
    for start in begins:
        inside = _inside(start, tile, length)
        total[inside] += ramp[inside.start - start : inside.stop - start]
    return total


def in_all_orientations(predict: TilePredictor) -> TilePredictor:
    """A predictor that gives the mean answer over the eight ways to lay a square; eight times as slow."""

    def mean(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = []
        for turns, flip in product(range(4), (False, True)):
            turned = np.rot90(tiles, turns, axes=(1, 2))
            turned = turned[:, ::-1] if flip else turned
            answer = predict(np.ascontiguousarray(turned))
            answer = answer[:, ::-1] if flip else answer
            answers.append(np.rot90(answer, -turns, axes=(1, 2)))
        return np.asarray(np.mean(answers, axis=0), np.float32)

    return mean
