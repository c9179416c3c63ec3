"""The golden tile: an image and the model's answer to it, kept in the contract to verify a loaded model."""

import base64
import binascii

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.errors import ModelError

__all__ = ["CELLS", "SIDE", "TOLERANCE", "Grid", "block_means", "check_golden", "decode_tile", "encode_tile"]

SIDE = 256
"""Height and width of the golden tile in pixels."""

CELLS = 16
"""Cells along each side of the golden grid."""

TOLERANCE = 0.02
"""Largest difference of a cell for the same model: CPUs round differently, other weights differ more."""

Grid = tuple[tuple[float, ...], ...]


def encode_tile(pixels: NDArray[np.uint8]) -> str:
    """The golden tile as text.

    Args:
        pixels: RGB, (256, 256, 3).
    """
    if pixels.shape != (SIDE, SIDE, 3):
        raise ValueError(f"a golden tile is {SIDE}x{SIDE}x3, not {pixels.shape}")
    _, png = cv2.imencode(".png", pixels[..., ::-1])
    return base64.b64encode(png.tobytes()).decode("ascii")


def decode_tile(text: str) -> NDArray[np.uint8]:
    """The golden tile as pixels, RGB, (256, 256, 3).

    Raises:
        ModelError: the text is no such tile.
    """
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (binascii.Error, cv2.error):
        pixels = None
    if pixels is None or pixels.shape != (SIDE, SIDE, 3):
        raise ModelError(f"The golden tile of the contract is no PNG of {SIDE}x{SIDE} pixels. Export the model again.")
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.uint8)


def block_means(probability: NDArray[np.float32]) -> Grid:
    """The golden grid of a probability map.

    Args:
        probability: (256, 256), in [0, 1].

    Returns:
        16x16 means over blocks of 16x16 pixels, rounded to 4 decimals.
    """
    block = SIDE // CELLS
    means = probability.reshape(CELLS, block, CELLS, block).mean(axis=(1, 3), dtype=np.float64)
    return tuple(tuple(round(float(value), 4) for value in row) for row in means)


def check_golden(probability: NDArray[np.float32], grid: Grid, name: str, tolerance: float = TOLERANCE) -> None:
    """Refuse a model whose answer to the golden tile is not the one it was exported with.

    Args:
        probability: the loaded model's answer to the golden tile, (256, 256).
        grid: its answer when it was exported.
        name: of the model, for messages.
        tolerance: largest difference of a cell that is still the same model.

    Raises:
        ModelError: the answer is not finite, or differs.
    """
    if not np.isfinite(probability).all():
        raise ModelError(f"{name} answers NaN or infinity to its golden tile: its weights are broken. Train it again.")
    expected = np.array(grid, dtype=np.float64)
    if expected.shape != (CELLS, CELLS):
        raise ModelError(f"The golden grid of {name} is {expected.shape}, not {(CELLS, CELLS)}. Export it again.")
    difference = float(np.abs(np.array(block_means(probability)) - expected).max())
    if difference > tolerance:
        raise ModelError(
            f"{name} answers its golden tile {difference:.3f} away from what it did when exported "
            f"(at most {tolerance}). The file was damaged or altered; export it again."
        )
