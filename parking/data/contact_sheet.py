"""A contact sheet: thumbnails of every scene of a snapshot with its annotations, in one image."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from parking.data.snapshot import Scene, Snapshot, load_raster
from parking.errors import DatasetError
from parking.storage import Store

__all__ = ["contact_sheet"]

_CAPTION = 18
_MARGIN = 4
_PAPER = 24
_FREE = (255, 64, 200)
_VEHICLE = (255, 170, 0)
_STALL = (90, 160, 255)
_IGNORED = (120, 120, 120)
_TEXT = {"train": (210, 210, 210), "test": (255, 200, 70)}


def contact_sheet(store: Store, snapshot: Snapshot, *, columns: int = 5, thumb: int = 320) -> NDArray[np.uint8]:
    """Draw the scenes in rows, each captioned with its name, split and number of free places and vehicles.

    Args:
        store: where the images are.
        snapshot: whose scenes to show, in its own order.
        columns: thumbnails per row.
        thumb: edge of the square that a thumbnail must fit, in pixels.

    Returns:
        (H, W, 3) RGB.

    Raises:
        DatasetError: the snapshot has no scene, or an image is missing.
    """
    if not snapshot.scenes:
        raise DatasetError(f"Dataset {snapshot.version} holds no scene to show. Ingest some first.")
    cells = [_cell(store, scene, thumb) for scene in snapshot.scenes]
    return _in_rows(cells, columns)


def _cell(store: Store, scene: Scene, thumb: int) -> NDArray[np.uint8]:
    pixels = load_raster(store, scene).pixels
    scale = thumb / max(scene.width, scene.height)
    size = (max(1, round(scene.width * scale)), max(1, round(scene.height * scale)))
    small = Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
    draw = ImageDraw.Draw(small, "RGBA")
    drawn = ((scene.ignored, _IGNORED), (scene.stalls, _STALL), (scene.vehicles, _VEHICLE), (scene.rings, _FREE))
    for rings, colour in drawn:
        for ring in rings:
            draw.polygon([(x * scale, y * scale) for x, y in ring], fill=(*colour, 70), outline=colour)
    cell = Image.new("RGB", (thumb, thumb + _CAPTION), (_PAPER,) * 3)
    cell.paste(small, ((thumb - size[0]) // 2, (thumb - size[1]) // 2))
    counts = {"free": len(scene.rings), "vehicle": len(scene.vehicles)}
    told = "  ".join(f"{count} {name}" for name, count in counts.items() if name in scene.annotated)
    caption = f"{scene.name}  {scene.split}  {told}"
    ImageDraw.Draw(cell).text((3, thumb + 2), caption, fill=_TEXT[scene.split], font=ImageFont.load_default(12))
    return np.asarray(cell)


def _in_rows(cells: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    height, width = (edge + _MARGIN for edge in cells[0].shape[:2])
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * height + _MARGIN, columns * width + _MARGIN, 3), _PAPER, np.uint8)
    for index, cell in enumerate(cells):
        top, left = _MARGIN + index // columns * height, _MARGIN + index % columns * width
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet
