"""Corrected and uncertain answers as Label Studio tasks, with their places as pre-annotations."""

import datetime as dt
import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from monitoring.answers import Answer, read_answers
from monitoring.corrections import Feedback, read_feedback
from parking.data.imagery import encode_png, read_raster
from parking.data.polygons import Ring
from parking.errors import OutputError
from parking.files import write_whole
from parking.storage import Store

__all__ = ["Exported", "certainty", "write_tasks"]

_LABEL = "free parking"
_SHOWN_BY_BROWSERS = frozenset({".png", ".jpg", ".jpeg", ".webp"})

_CONFIG = f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <PolygonLabels name="label" toName="image" strokeWidth="2">
    <Label value="{_LABEL}" background="#12703f"/>
  </PolygonLabels>
  <Text name="why" value="$why"/>
</View>
"""

_README = """# To annotate in Label Studio

1. Label Studio shows files of this machine only below a folder that is given when it starts:

       export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
       export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}
       uvx label-studio start

2. Create a project. Under *Labeling Setup*, *Custom template*, paste `labeling-config.xml`.
3. Under *Settings*, *Cloud Storage*, *Add Source Storage*, choose *Local files* with this path; save without syncing:

       {images}

4. *Import* `tasks.json`. Each image shows the places that were answered or corrected: move, delete, add, submit.
5. *Export* as JSON into this folder, delete `tasks.json`, and train on it:

       parking ingest --data {folder}
"""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    corrected: int
    uncertain: int
    imageless: int
    """Answers and corrections without an image to annotate."""


@dataclass(frozen=True)
class _Item:
    """An image that somebody should check."""

    key: str
    rings: Sequence[Ring]
    model_version: str
    why: str
    score: float | None = None

    @property
    def is_corrected(self) -> bool:
        return self.score is None


def write_tasks(store: Store, folder: Path, *, lowest: int) -> Exported:
    """Write `tasks.json`, `labeling-config.xml`, `README.md` with what to do, and the images that the tasks name.

    An image is there once, however often it was asked for: with its latest correction, if it has one. TIFFs, which no
    browser shows, become PNGs.

    Args:
        store: holds answers and corrections.
        folder: where to; made where there is none.
        lowest: how many answers without a correction to add, in rising order of certainty.

    Raises:
        OutputError: the folder cannot be written.
        StoreError: the store refused.
    """
    feedback = sorted(read_feedback(store, dt.date.min), key=lambda one: one.time, reverse=True)
    known = {one.answer_id for one in feedback}
    waiting = [answer for answer in read_answers(store) if answer.answer_id not in known]
    uncertain = sorted((answer for answer in waiting if answer.image), key=certainty)
    try:
        written = _write(store, folder, [*map(_of_feedback, feedback), *map(_of_answer, uncertain)], lowest)
    except OSError as error:
        raise OutputError(f"Tasks cannot be written to '{folder}': {error.strerror or error}. Name another.") from error
    corrected = sum(item.is_corrected for item in written)
    imageless = sum(not one.scene for one in feedback) + sum(not answer.image for answer in waiting)
    return Exported(corrected, len(written) - corrected, imageless)


def certainty(answer: Answer) -> float:
    """Lowest confidence of a place; 0.5 where none was found."""
    return min((spot.confidence for spot in answer.spots), default=0.5)


def _of_feedback(one: Feedback) -> _Item:
    return _Item(one.scene, one.rings, one.model_version, f"corrected by {one.by or 'somebody'}")


def _of_answer(one: Answer) -> _Item:
    return _Item(one.image, one.rings, one.model_version, "of low confidence", certainty(one))


def _write(store: Store, folder: Path, items: Sequence[_Item], lowest: int) -> list[_Item]:
    """Write the whole folder; returns the items that became tasks."""
    folder = folder.resolve()
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    written: list[_Item] = []
    tasks: list[dict[str, Any]] = []
    for item, image in _distinct(store, items):
        if not item.is_corrected and sum(not one.is_corrected for one in written) >= lowest:
            break
        written.append(item)
        tasks.append(_task(item, image, images))
    write_whole(folder / "tasks.json", json.dumps(tasks, indent=1).encode())
    write_whole(folder / "labeling-config.xml", _CONFIG.encode())
    told = {"root": folder.parent, "images": images, "folder": folder}
    text = _README.format(**{name: shlex.quote(str(path)) for name, path in told.items()})
    write_whole(folder / "README.md", text.encode())
    return written


def _distinct(store: Store, items: Sequence[_Item]) -> Iterator[tuple[_Item, bytes]]:
    """Items with an image, each image once: the first that has it."""
    seen = set()
    for item in items:
        if not item.key:
            continue
        image = store.read(item.key)
        checksum = hashlib.sha256(image).digest()
        if checksum not in seen:
            seen.add(checksum)
            yield item, image


def _task(item: _Item, image: bytes, images: Path) -> dict[str, Any]:
    name = PurePosixPath(item.key)
    raster = read_raster(image, name=name.name, max_megapixels=float("inf"))
    if name.suffix not in _SHOWN_BY_BROWSERS:
        name, image = name.with_suffix(".png"), encode_png(raster.pixels)
    write_whole(images / name.name, image)
    prediction: dict[str, Any] = {
        "model_version": item.model_version,
        "result": [_polygon(ring, raster.width, raster.height) for ring in item.rings],
    }
    if item.score is not None:
        prediction["score"] = round(item.score, 4)
    # Relative to the document root, which is the folder above the export: Label Studio refuses the root itself.
    path = quote(f"{images.parent.name}/{images.name}/{name.name}")
    return {
        "data": {"image": f"/data/local-files/?d={path}", "why": item.why},
        "annotations": [],
        "predictions": [prediction],
    }


def _polygon(ring: Ring, width: int, height: int) -> dict[str, Any]:
    """Label Studio counts in percent of the image."""
    points = [[round(100 * x / width, 4), round(100 * y / height, 4)] for x, y in ring]
    return {
        "type": "polygonlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"points": points, "polygonlabels": [_LABEL], "closed": True},
    }
