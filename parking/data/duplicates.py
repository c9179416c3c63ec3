"""Find images that show the same picture, though their bytes differ."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["NEAR", "alike", "fingerprint"]

_SIDE = 16
_BITS = _SIDE * _SIDE
NEAR = round(_BITS * 0.12)
"""Bits that may differ. Re-encoded, resized or brightened copies differ in a few; other places in half of them."""


def fingerprint(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(4,) difference hash of an (H, W, 3) image: whether each cell of a grid is brighter than its left neighbour.

    Source: N. Krawetz, "Kind of Like That" (2013), with 256 bits instead of 64.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA), np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def alike(fingerprints: list[NDArray[np.uint64]]) -> list[tuple[int, int]]:
    """Pairs of images that show the same picture."""
    every = np.array(fingerprints).reshape(len(fingerprints), _BITS // 64)
    return [
        (near, index)
        for index, own in enumerate(every)
        for near in np.flatnonzero(np.bitwise_count(every[:index] ^ own).sum(axis=1) <= NEAR).tolist()
    ]
