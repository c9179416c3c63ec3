"""Polygons of free places, as three annotation tools export them."""

from dataclasses import dataclass
from typing import Literal

Ring = tuple[tuple[float, float], ...]
"""A polygon's outline: x, y in pixels of the image, (0, 0) its upper left corner; the first point is not repeated."""

Format = Literal["label-studio", "labelbox", "coco"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator drew on one image.

    Attributes:
        image: the image's file name, without folders.
        annotator: who drew it, as far as the export says.
        rings: free places; empty means looked at, and none there.
        size: (width, height) of the image as it was annotated.
        problems: polygons that could not be read, a reason each.
    """

    image: str
    annotator: str
    rings: tuple[Ring, ...]
    size: tuple[int, int] | None
    problems: tuple[str, ...] = ()
