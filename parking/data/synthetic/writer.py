"""Write generated scenes as a dataset that is ingested like any other: PNG images and COCO polygons."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from parking.data.imagery import encode_png
from parking.data.polygons import area
from parking.data.synthetic.scene import SyntheticScene, generate_scene
from parking.errors import DatasetError
from parking.files import write_whole
from parking.progress import Progress, silent

ANNOTATIONS = "annotations.coco.json"
_CONTRIBUTOR = "parking scene generator"
_EDITION = 1
"""Raised when the generator draws other pictures from the same seed, so that old folders are drawn anew."""


def generate_dataset(folder: Path, count: int, seed: int = 0, size: int = 768, progress: Progress = silent) -> Path:
    """Write `count` scenes, numbered from `seed`, into a folder; done already, it does nothing.

    Returns:
        The folder: `scene-NNNNN.png` and, written last, `annotations.coco.json`.

    Raises:
        DatasetError: the folder cannot be written, or holds annotations that are not ours.
    """
    info = {"contributor": _CONTRIBUTOR, "version": f"{_EDITION}", "description": f"{count} {size} from {seed}"}
    before = _made_before(folder)
    if before.get("info") == info and all((folder / image["file_name"]).is_file() for image in before["images"]):
        logger.debug("{} holds these {} scenes already", folder, count)
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image in before.get("images", ()):
            (folder / image["file_name"]).unlink(missing_ok=True)
        scenes = []
        for done in range(count):
            progress(done, count, "scenes drawn")
            scene = generate_scene(seed + done, size)
            write_whole(folder / f"{scene.raster.name}.png", encode_png(scene.raster.pixels))
            scenes.append(scene)
        write_whole(folder / ANNOTATIONS, json.dumps({"info": info, **_coco(scenes)}).encode())
    except OSError as error:
        raise DatasetError(
            f"Scenes cannot be written to '{folder}': {error.strerror or error}. Free some space, or choose another."
        ) from error
    progress(count, count, "scenes drawn")
    return folder


def _made_before(folder: Path) -> dict[str, Any]:
    """What an earlier run wrote there, so that its images can be told from a person's own."""
    path = folder / ANNOTATIONS
    try:
        made: dict[str, Any] = json.loads(path.read_text())
        if made["info"]["contributor"] == _CONTRIBUTOR:
            return made
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DatasetError(f"'{path}' is not ours to overwrite. Generate scenes into an empty folder.")


def _coco(scenes: Sequence[SyntheticScene]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        raster = scene.raster
        images.append({"id": number, "file_name": f"{raster.name}.png", "width": raster.width, "height": raster.height})
        for ring in scene.rings:
            outline = [round(value, 2) for point in ring for value in point]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": [outline],
                    "area": round(area(ring), 1),
                    "bbox": _box(outline),
                    "iscrowd": 0,
                }
            )
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "free parking"}]}


def _box(outline: list[float]) -> list[float]:
    xs, ys = outline[::2], outline[1::2]
    return [min(xs), min(ys), round(max(xs) - min(xs), 2), round(max(ys) - min(ys), 2)]
