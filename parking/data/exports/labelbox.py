"""Labelbox's export, one JSON array or an object a line: polygons in pixels, grouped by project."""

from typing import Any

from parking.data.exports.annotation import Annotation, Unusable, file_name, means_free, outline
from parking.data.polygons import Ring


def read(document: Any) -> list[Annotation]:  # noqa: ANN401 - JSON
    """Annotations of an export, of all its projects; a data row without a label, or skipped, has none."""
    rows = document if isinstance(document, list) else [document]
    return [found for row in rows if (found := _row(row))]


def _row(row: dict[str, Any]) -> Annotation | None:
    rings: list[Ring] = []
    problems: list[str] = []
    notes: list[str] = []
    annotators: list[str] = []
    for project in row["projects"].values():
        labels = [label for label in project["labels"] if not _skipped(label)]
        if not labels:
            continue
        # Consensus gives several labels a row: mixing them would draw places twice.
        if len(labels) > 1:
            notes.append(f"{len(labels) - 1} further labels of this image were not used")
        annotators.append(_annotator(labels[-1]))
        for thing in labels[-1]["annotations"]["objects"]:
            try:
                rings += _polygon(thing)
            except Unusable as reason:
                problems.append(str(reason))
    if not annotators:
        return None
    image = _image_name(row["data_row"])
    return Annotation(image, annotators[0], tuple(rings), _size(row), tuple(problems), tuple(notes))


def _skipped(label: dict[str, Any]) -> bool:
    """Whether the annotator passed the image over, which says nothing of what is on it."""
    return bool((label.get("performance_details") or {}).get("skipped"))


def _polygon(thing: dict[str, Any]) -> list[Ring]:
    """The outline of a free place; nothing for a place that is taken."""
    if not means_free([thing["name"]]):
        return []
    if "polygon" not in thing:
        raise Unusable(f"an object of kind '{thing.get('annotation_kind', 'unknown')}' is not a polygon")
    return [outline((point["x"], point["y"]) for point in thing["polygon"])]


def _annotator(label: dict[str, Any]) -> str:
    # The part before the @ tells annotators apart; a whole address is nobody's business in a manifest.
    who = (label.get("label_details") or {}).get("created_by") or ""
    return f"labelbox:{who.split('@')[0]}" if who else "labelbox"


def _image_name(data_row: dict[str, Any]) -> str:
    address = data_row.get("external_id") or data_row.get("global_key") or data_row.get("row_data") or ""
    return file_name(address)


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    media = row.get("media_attributes") or {}
    return (int(media["width"]), int(media["height"])) if {"width", "height"} <= media.keys() else None
