"""Write generated scenes as a dataset that is ingested like any other: PNG images and COCO polygons."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from parking.data.imagery import encode_png
from parking.data.polygons import area
from parking.data.synthetic.scene import SyntheticScene, generate_scene, name_of
from parking.data.synthetic.staging import ANNOTATIONS, ASIDE, CONTRIBUTOR, check_free, gathered, images_of, read_ours
from parking.errors import DatasetError
from parking.files import write_whole
from parking.progress import Progress, silent

__all__ = ["generate_dataset"]

_EDITION = 1
"""Raised when the generator draws other pictures from the same seed, so that old folders are drawn anew."""


def generate_dataset(folder: Path, count: int, seed: int = 0, size: int = 768, progress: Progress = silent) -> Path:
    """Write `count` scenes, numbered from `seed`, into a folder; done already, it does nothing.

    They take the place of those that an earlier run drew there, all at once: a run that is stopped changes nothing.

    Returns:
        The folder: `scene-NNNNN.png` and `annotations.coco.json`.

    Raises:
        DatasetError: the folder cannot be written, or holds annotations or images of these names that are not ours.
        FolderError: another process draws into the same folder, or it is no folder.
    """
    info = {"contributor": CONTRIBUTOR, "version": f"{_EDITION}", "description": f"{count} {size} from {seed}"}
    if not (folder / ASIDE).exists() and _holds(folder, info):
        return folder
    try:
        with gathered(folder) as aside:
            if not _holds(folder, info):
                names = {f"{name_of(number)}.png" for number in range(seed, seed + count)}
                check_free(folder, names, images_of(read_ours(folder / ANNOTATIONS)))
                _draw(aside, info, range(seed, seed + count), size, progress)
    except OSError as error:
        raise DatasetError(
            f"Scenes cannot be written to '{folder}': {error.strerror or error}. Free some space, or choose another."
        ) from error
    return folder


def _holds(folder: Path, info: Mapping[str, str]) -> bool:
    """Whether these very scenes are there, whole."""
    made = read_ours(folder / ANNOTATIONS)
    whole = made.get("info") == info and all((folder / name).is_file() for name in images_of(made))
    if whole:
        logger.debug("{} holds these scenes already: {}", folder, info["description"])
    return whole


def _draw(folder: Path, info: Mapping[str, str], seeds: Sequence[int], size: int, progress: Progress) -> None:
    """Images first, and the annotations last."""
    scenes = []
    for done, seed in enumerate(seeds):
        progress(done, len(seeds), "scenes drawn")
        scene = generate_scene(seed, size)
        write_whole(folder / f"{scene.raster.name}.png", encode_png(scene.raster.pixels))
        scenes.append(scene)
    write_whole(folder / ANNOTATIONS, json.dumps({"info": info, **_coco(scenes)}).encode())
    progress(len(seeds), len(seeds), "scenes drawn")


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
