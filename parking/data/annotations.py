"""Polygons of free places, as Label Studio, Labelbox and COCO tools export them."""

import json
from collections.abc import Callable
from typing import Any, Literal

from parking.data.exports import coco, label_studio, labelbox
from parking.data.exports.annotation import Annotation
from parking.data.polygons import Ring
from parking.errors import AnnotationError

__all__ = ["Annotation", "Format", "Ring", "detect_format", "read_annotations"]

Format = Literal["label-studio", "labelbox", "coco"]

_READERS: dict[Format, Callable[[Any], list[Annotation]]] = {
    "label-studio": label_studio.read,
    "labelbox": labelbox.read,
    "coco": coco.read,
}


def detect_format(text: str) -> Format:
    """Which tool wrote this export, by its content.

    Raises:
        AnnotationError: none that we read.
    """
    return _detect(_parse(text, "The text"), "The text")


def read_annotations(text: str, name: str) -> list[Annotation]:
    """Read an export of any of the three tools.

    Args:
        text: the file's content: JSON, or NDJSON with an object a line.
        name: what messages call the file.

    Returns:
        An annotation an image that somebody looked at; images still waiting for their annotator have none.

    Raises:
        AnnotationError: not JSON, of an unknown form, or it breaks the form that it begins with.
    """
    document = _parse(text, f"'{name}'")
    form = _detect(document, f"'{name}'")
    try:
        return _READERS[form](document)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise AnnotationError(
            f"'{name}' begins like a {form} export but breaks its form ({type(error).__name__}: {error}). "
            "Export it again."
        ) from error


def _parse(text: str, name: str) -> Any:  # noqa: ANN401 - JSON
    text = text.lstrip("\ufeff").strip()
    try:
        return json.loads(text)
    except json.JSONDecodeError as whole:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            raise AnnotationError(
                f"{name} is neither JSON nor NDJSON (line {whole.lineno}: {whole.msg}). Export it again."
            ) from whole


def _detect(document: Any, name: str) -> Format:  # noqa: ANN401 - JSON
    if isinstance(document, dict) and {"images", "annotations"} <= document.keys():
        return "coco"
    first = document[0] if isinstance(document, list) and document else document
    keys = set(first) if isinstance(first, dict) else set()
    if {"data_row", "projects"} <= keys:
        return "labelbox"
    if {"data", "annotations"} <= keys:
        return "label-studio"
    shown = f"its keys are {', '.join(sorted(keys)[:8])}" if keys else "it holds no objects"
    raise AnnotationError(
        f"{name} is no annotation file that we read: {shown}. Export as Label Studio JSON, Labelbox JSON or NDJSON, or "
        "COCO, or move it out of the folder."
    )
