"""Answers that people should look at, as Label Studio tasks with what is known of their places filled in."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.feedback import Answer, read_answers, read_feedback
from parking.data.imagery import read_raster
from parking.data.polygons import Ring
from parking.errors import OutputError
from parking.files import write_whole
from parking.storage import Store

_LABEL = "free parking"


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    corrected: int
    doubtful: int
    imageless: int
    """Answers and corrections without an image to annotate."""


def write_tasks(store: Store, folder: Path, *, lowest: int) -> Written:
    """Write `tasks.json` and the images that it names.

    Args:
        store: holds answers and corrections.
        folder: where to; made where there is none.
        lowest: answers that nobody corrected to add, the least sure first.

    Raises:
        OutputError: the folder cannot be written.
        StoreError: the store refused.
    """
    said = list(read_feedback(store, dt.date.min))
    corrected = [feedback for feedback in said if feedback.scene]
    known = {feedback.request_id for feedback in said}
    waiting = [answer for answer in read_answers(store) if answer.request_id not in known]
    doubtful = sorted((answer for answer in waiting if answer.image), key=sureness)[:lowest]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tasks = [
            _task(store, folder, one.scene, one.rings, one.model_version, None, f"corrected by {one.by or 'somebody'}")
            for one in corrected
        ]
        tasks += [
            _task(store, folder, one.image, one.rings, one.model_version, sureness(one), "of low confidence")
            for one in doubtful
        ]
        write_whole(folder / "tasks.json", json.dumps(tasks, indent=1).encode())
    except OSError as error:
        raise OutputError(f"Tasks cannot be written to '{folder}': {error.strerror or error}. Name another.") from error
    imageless = len(said) - len(corrected) + sum(not answer.image for answer in waiting)
    return Written(len(corrected), len(doubtful), imageless)


def sureness(answer: Answer) -> float:
    """Confidence of the least sure place; 0.5 where none was found, for there is nothing to be sure of."""
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
