"""A small folder of images and annotations, to ingest and to damage."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.imagery import encode_png

Points = Sequence[tuple[float, float]]
SQUARE: Points = [(10, 10), (30, 10), (30, 30), (10, 30)]
WIDTH, HEIGHT = 120, 80


def picture(seed: int) -> NDArray[np.uint8]:
    """Blobs that no other seed has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def task(image: str, polygons: Sequence[Points], label: str = "Parking", by: int = 1) -> dict[str, Any]:
    """A Label Studio task with polygons given in pixels."""
    results = [
        {
            "type": "polygonlabels",
            "original_width": WIDTH,
            "original_height": HEIGHT,
            "value": {"points": [(x / WIDTH * 100, y / HEIGHT * 100) for x, y in points], "polygonlabels": [label]},
        }
        for points in polygons
    ]
    return {"data": {"image": f"/data/upload/1/{image}"}, "annotations": [{"completed_by": by, "result": results}]}


def write_images(folder: Path, images: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in images.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_places(folder: Path, count: int = 10, first: int = 0, *more: dict[str, Any]) -> Path:
    """Write `count` images with one free place each, and a Label Studio export of them."""
    numbers = range(first, first + count)
    write_images(folder, {f"images/{n}.png": encode_png(picture(n)) for n in numbers})
    tasks = [task(f"{n}.png", [SQUARE]) for n in numbers]
    (folder / "export.json").write_text(json.dumps([*tasks, *more]))
    return folder
