"""Predict an image of any size tile by tile, and blend the tiles so that their seams do not show."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_tiles", "in_all_orientations", "stitch", "tile_weight", "weight_along"]

TilePredictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From tiles, uint8 (N, h, w, 3), to their maps, float (N, h, w, K)."""


def fitted_side(length: int, tile: int, overlap: int, multiple: int) -> int:
    """The smallest edge with which as few tiles cover an axis as with the largest one.

    What a tile covers beyond the image is work for nothing: a third of it for usual photos.

    Args:
        length: of the image, in pixels.
        tile: largest edge, a multiple of `multiple`.
        overlap: that neighbours share at least.
        multiple: that the edge has to be of.
    """
    count = len(starts(length, tile, overlap))
    needed = max(math.ceil((length + (count - 1) * overlap) / count), overlap + 1)
    return min(tile, math.ceil(needed / multiple) * multiple)


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


def tile_weight(height: int, width: int) -> NDArray[np.float32]:
    """(height, width) weights to blend by: about 1 in the middle, less at the edge, where a network sees less; > 0."""
    return _ramp(height)[:, None] * _ramp(width)


def _ramp(tile: int) -> NDArray[np.float32]:
    centres = np.arange(tile, dtype=np.float32) + 0.5
    ramp: NDArray[np.float32] = np.minimum(centres, tile - centres) / np.float32(tile / 2)
    return ramp


def cut_tiles(pixels: NDArray[np.uint8], tile: int, overlap: int, multiple: int = 1) -> Iterator[NDArray[np.uint8]]:
    """The tiles that `stitch` runs over, one by one: (h, w, 3)."""
    height, width = pixels.shape[:2]
    down, across = (fitted_side(length, tile, overlap, multiple) for length in (height, width))
    for top, left in product(starts(height, down, overlap), starts(width, across, overlap)):
        yield _cut(pixels, top, left, down, across)


def stitch(
    pixels: NDArray[np.uint8],
    predict: TilePredictor,
    *,
    tile: int,
    overlap: int,
    batch: int = 4,
    multiple: int = 1,
) -> tuple[NDArray[np.float32], ...]:
    """Run `predict` over overlapping tiles and blend what it says.

    Args:
        pixels: (H, W, 3), any size from 1 x 1.
        predict: from (N, h, w, 3), N ≤ batch, to K maps, (N, h, w, K), in [0, 1].
        tile: largest edge of a tile in pixels. Tiles are as small as cover the image with as few of them.
        overlap: pixels that neighbouring tiles share.
        batch: tiles cut and predicted at once; memory beyond the result grows with it alone.
        multiple: that the edges of tiles have to be of.

    Returns:
        K maps, (H, W) in [0, 1], each in memory of its own: whoever keeps one need not keep all.
    """
    height, width = pixels.shape[:2]
    down, across = (fitted_side(length, tile, overlap, multiple) for length in (height, width))
    tops, lefts = starts(height, down, overlap), starts(width, across, overlap)
    weight = tile_weight(down, across)
    maps: list[NDArray[np.float32]] = []
    corners = product(tops, lefts)
    while chosen := list(islice(corners, batch)):
        answers = predict(np.stack([_cut(pixels, top, left, down, across) for top, left in chosen]))
        maps = maps or [np.zeros((height, width), np.float32) for _ in range(answers.shape[3])]
        for (top, left), answer in zip(chosen, answers, strict=True):
            rows, columns = _inside(top, down, height), _inside(left, across, width)
            seen = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
            for number, values in enumerate(maps):
                values[rows, columns] += answer[seen][..., number] * weight[seen]
    # The weights of a grid of tiles are the product of those along its axes: no second (H, W) array is needed.
    weight_down, weight_across = weight_along(tops, down, height)[:, None], weight_along(lefts, across, width)
    for values in maps:
        values /= weight_down
        values /= weight_across
        np.clip(values, 0.0, 1.0, out=values)
    return tuple(maps)


def _cut(pixels: NDArray[np.uint8], top: int, left: int, down: int, across: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return pixels[np.ix_(_reflected(top, down, height), _reflected(left, across, width))]


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
