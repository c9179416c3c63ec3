"""The demo's last picture: what minutes of training find, beside what the shipped model finds."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from cli.console import table
from parking.data.imagery import Raster, encode_png
from parking.files import write_whole
from parking.model import load_model
from parking.result import Result
from parking.settings import Settings
from parking.shipped import shipped_model

SIDE = 384
"""Of each picture in the comparison, in pixels."""
_GAP = 8
_HEAD = 40


def compare(rasters: Sequence[Raster], demo: Path, annotated: Sequence[int], file: Path, settings: Settings) -> Table:
    """Draw what two models find in the same images, and count it.

    Args:
        rasters: images that neither model has learnt from.
        demo: file of the model that the demo trained.
        annotated: how many places are free in each image.
        file: PNG to write: a row for each image, the demo's model on the left.
        settings: of the process.

    Returns:
        How many places each model finds in each image.
    """
    models = {"trained here in minutes": load_model(demo, settings), "shipped": load_model(shipped_model(), settings)}
    found = {name: [model.detect(raster) for raster in rasters] for name, model in models.items()}
    columns = [_column(f"Model: {name}", results) for name, results in found.items()]
    gap = np.full((columns[0].shape[0], _GAP, 3), 255, np.uint8)
    write_whole(file, encode_png(np.hstack([columns[0], gap, columns[1]])))
    counted = table("free places in", "annotated", *found, title="\n[bold]The shipped model on the same images[/bold]")
    for raster, truth, *results in zip(rasters, annotated, *found.values(), strict=True):
        counted.add_row(escape(raster.name), str(truth), *(str(result.count) for result in results))
    return counted


def _column(title: str, results: Sequence[Result]) -> NDArray[np.uint8]:
    """The overlays of one model under each other, with its name above."""
    head = np.full((_HEAD, SIDE, 3), 255, np.uint8)
    cv2.putText(head, title, (4, _HEAD - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 1, cv2.LINE_AA)
    parts = [head]
    for result in results:
        drawn = cv2.resize(result.overlay(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        parts += [drawn.astype(np.uint8, copy=False), np.full((_GAP, SIDE, 3), 255, np.uint8)]
    return np.vstack(parts)
