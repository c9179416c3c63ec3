from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parking.data.tiles import cut_tiles, fitted_side, starts, stitch, tile_weight


@given(length=st.integers(1, 3000), tile=st.integers(1, 512), share=st.floats(0, 0.9))
def test_tiles_cover_every_pixel_and_share_the_overlap(length: int, tile: int, share: float) -> None:
    overlap = int(tile * share)
    begins = starts(length, tile, overlap)
    assert begins[0] <= 0
    assert begins[-1] + tile >= length
    assert all(after - before == tile - overlap for before, after in pairwise(begins))
    assert len(begins) == 1 or begins[-2] + tile < length + overlap


@given(length=st.integers(1, 3000), tile=st.integers(1, 12), share=st.floats(0, 0.9))
def test_a_fitted_tile_is_the_smallest_that_needs_no_more_tiles(length: int, tile: int, share: float) -> None:
    largest = 32 * tile
    overlap = int(largest * share)
    side = fitted_side(length, largest, overlap, 32)
    count = len(starts(length, largest, overlap))
    assert (side % 32, overlap < side <= largest) == (0, True)
    assert len(starts(length, side, overlap)) <= count
    assert side - 32 <= overlap or len(starts(length, side - 32, overlap)) > count


def test_an_image_smaller_than_a_tile_costs_little_more_than_itself() -> None:
    (tile,) = cut_tiles(np.zeros((284, 327, 3), np.uint8), 384, 32, 32)
    assert tile.shape == (288, 352, 3)


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        starts(100, 64, 64)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (7, 64), (64, 64)])
def test_the_weight_falls_to_the_edge_and_never_to_zero(height: int, width: int) -> None:
    weight = tile_weight(height, width)
    assert weight.shape == (height, width)
    assert weight.min() > 0
    assert weight[0, 0] == weight.min()
    assert weight[height // 2, width // 2] == weight.max()
    assert np.array_equal(weight, tile_weight(width, height).T)


def red(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (tiles[..., :1] / 255).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 150), width=st.integers(1, 150), overlap=st.integers(0, 31))
def test_what_looks_at_single_pixels_comes_back_whatever_the_size(height: int, width: int, overlap: int) -> None:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    (stitched,) = stitch(pixels, red, tile=32, overlap=overlap)
    assert stitched.shape == (height, width)
    assert np.allclose(stitched, pixels[..., 0] / 255, atol=1e-6)
    assert 0 <= stitched.min() <= stitched.max() <= 1


def test_the_result_does_not_depend_on_the_tiling() -> None:
    """With a model that looks 4 pixels around, and is wrong at the edge of a tile, as networks are."""
    pixels = np.random.default_rng(1).integers(0, 256, (200, 170, 3), dtype=np.uint8)

    def mean_around(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = tiles[..., 0].astype(np.float32) / 255
        padded = np.pad(values, ((0, 0), (4, 4), (4, 4)))
        return np.lib.stride_tricks.sliding_window_view(padded, (9, 9), axis=(1, 2)).mean(axis=(3, 4))[..., None]  # type: ignore[no-any-return]

    one, other = (stitch(pixels, mean_around, tile=tile, overlap=overlap)[0] for tile, overlap in ((128, 48), (96, 40)))
    assert np.abs(one - other)[8:-8, 8:-8].max() < 0.06
    (butted,) = stitch(pixels, mean_around, tile=50, overlap=0)
    assert np.abs(butted - one)[8:-8, 8:-8].max() > 0.06, "the model above must be wrong enough to show seams"


def test_no_more_tiles_are_cut_than_a_batch_holds() -> None:
    seen: list[int] = []

    def count(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(len(tiles))
        return red(tiles)

    stitch(np.zeros((100, 100, 3), np.uint8), count, tile=32, overlap=8, batch=3)
    assert max(seen) == 3
    assert sum(seen) == len(starts(100, 32, 8)) ** 2
