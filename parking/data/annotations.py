"""Exports of annotation tools in JSON: recognises the format and calls its reader."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

from parking.data.exports import coco, label_studio, labelbox
from parking.data.exports.annotation import Annotation
from parking.data.polygons import Ring
from parking.data.vocabulary import Label, LabelMap
from parking.errors import AnnotationError

__all__ = ["FORMATS", "Annotation", "Format", "Ring", "completed", "detect_format", "read_annotations"]

Format = Literal["label-studio", "labelbox", "coco"]
FORMATS = "Label Studio, Labelbox, COCO, YOLO, Pascal VOC, CVAT, or GeoJSON and GeoPackage over GeoTIFFs"

_READERS: dict[Format, Callable[[Any, LabelMap], list[Annotation]]] = {
    "label-studio": label_studio.read,
    "labelbox": labelbox.read,
    "coco": coco.read,
}


def detect_format(text: str) -> Format:
    """The tool that wrote this JSON, by its content.

    Raises:
        AnnotationError: none that is supported.
    """
    return _detect(_parse(text, "The text"), "The text")


def read_annotations(text: str, name: str, labels: LabelMap | None = None) -> list[Annotation]:
    """Read an export in JSON of any of the three tools.

    Args:
        text: content of the file: JSON, or NDJSON with an object per line.
        name: of the file, for messages.
        labels: meanings of its labels; by default those of the usual words.

    Returns:
        An annotation for each image that was annotated; images still waiting for their annotator have none. A record
        with another structure than the others gives an annotation with only this problem.

    Raises:
        AnnotationError: not JSON, of an unknown format, or its structure changes.
    """
    document = _parse(text, f"'{name}'")
    form = _detect(document, f"'{name}'")
    broken = f"'{name}' begins like a {form} export but breaks its form"
    try:
        found = _READERS[form](document, labels or LabelMap())
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise AnnotationError(f"{broken} ({type(error).__name__}: {error}). Export it again.") from error
    if found and all(annotation.broken for annotation in found):
        raise AnnotationError(f"{broken}: {found[0].problems[0]}. Export it again.")
    return completed(replace(annotation, export=name) for annotation in found)


def completed(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Add to every annotation the classes that its whole export knows: a class never drawn there was not looked for.

    Of classes that an export only declares, `free` alone counts: annotators looked for free places and found none.
    Lists of categories are often a tool's default, and name vehicles that nobody was asked to draw.
    """
    found = list(annotations)
    known: dict[str, set[Label]] = defaultdict(set)
    for one in found:
        known[one.export] |= {shape.label for shape in one.shapes} | one.refused
        if one.declares_free:
            known[one.export].add("free")
    return [replace(one, known=frozenset(known[one.export])) for one in found]


def _parse(text: str, name: str) -> Any:  # noqa: ANN401 - JSON
    text = text.lstrip("\ufeff").strip()
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as whole:
        records = [_line(line) for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
        # A line that was cut off is one bad record among others; a text without any record is no NDJSON.
        if sum(isinstance(record, dict) for record in records) * 2 >= len(records):
            return records
        where = f"line {whole.lineno}: {whole.msg}" if isinstance(whole, json.JSONDecodeError) else "nested too deeply"
        raise AnnotationError(f"{name} is neither JSON nor NDJSON ({where}). Export it again.") from whole


def _line(line: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return line


def _detect(document: Any, name: str) -> Format:  # noqa: ANN401 - JSON
    if isinstance(document, dict) and {"images", "annotations"} <= document.keys():
        return "coco"
    records = document if isinstance(document, list) else [document]
    first = next((record for record in records if isinstance(record, dict) and record), None)
    keys = set(first or ())
    if {"data_row", "projects"} <= keys:
        return "labelbox"
    if {"data", "annotations"} <= keys:
        return "label-studio"
    shown = f"its keys are {', '.join(sorted(keys)[:8])}" if keys else "it holds no objects"
    raise AnnotationError(
        f"{name} is no annotation file that we read: {shown}. Export as {FORMATS}, or move it out of the folder."
    )
