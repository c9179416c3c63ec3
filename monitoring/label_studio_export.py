"""Corrected and uncertain answers as Label Studio tasks, with their places as pre-annotations."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.answers import Answer, read_answers
from monitoring.corrections import read_feedback
from parking.data.imagery import read_raster
from parking.data.polygons import Ring
from parking.errors import OutputError
from parking.files import write_whole
from parking.storage import Store

_LABEL = "free parking"


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    corrected: int
    uncertain: int
    imageless: int
    """Answers and corrections without an image to annotate."""


def write_tasks(store: Store, folder: Path, *, lowest: int) -> Exported:
    """Write `tasks.json` and the images that it names.

    Args:
        store: holds answers and corrections.
        folder: where to; made where there is none.
        lowest: how many answers without a correction to add, in rising order of certainty.

    Raises:
        OutputError: the folder cannot be written.
        StoreError: the store refused.
    """
    feedback = list(read_feedback(store, dt.date.min))
    corrected = [one for one in feedback if one.scene]
    known = {one.request_id for one in feedback}
    waiting = [answer for answer in read_answers(store) if answer.request_id not in known]
    uncertain = sorted((answer for answer in waiting if answer.image), key=certainty)[:lowest]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tasks = [
            _task(store, folder, one.scene, one.rings, one.model_version, None, f"corrected by {one.by or 'somebody'}")
            for one in corrected
        ]
        tasks += [
            _task(store, folder, one.image, one.rings, one.model_version, certainty(one), "of low confidence")
            for one in uncertain
        ]
        write_whole(folder / "tasks.json", json.dumps(tasks, indent=1).encode())
    except OSError as error:
        raise OutputError(f"Tasks cannot be written to '{folder}': {error.strerror or error}. Name another.") from error
    imageless = len(feedback) - len(corrected) + sum(not answer.image for answer in waiting)
    return Exported(len(corrected), len(uncertain), imageless)


def certainty(answer: Answer) -> float:
    """Lowest confidence of a place; 0.5 where none was found."""
    return min((spot.confidence for spot in answer.spots), default=0.5)


def _task(
    store: Store, folder: Path, key: str, rings: Sequence[Ring], version: str, score: float | None, why: str
) -> dict[str, Any]:
    image = store.read(key)
    name = key.rpartition("/")[2]
    write_whole(folder / name, image)
    raster = read_raster(image, name=name, max_megapixels=float("inf"))
    prediction: dict[str, Any] = {
        "model_version": version,
        "result": [_polygon(ring, raster.width, raster.height) for ring in rings],
    }
    if score is not None:
        prediction["score"] = round(score, 4)
    return {
        "data": {"image": f"/data/local-files/?d={name}", "why": why},
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
