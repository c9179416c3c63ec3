"""Labelbox's export, a JSON array or an object per line: polygons and boxes in pixels, grouped by project."""

from typing import Any

from parking.data.exports.addresses import file_name
from parking.data.exports.annotation import Annotation, Drawing, Outline, Unusable, box, each, moment, outline, size_of
from parking.data.vocabulary import LabelMap


def read(document: Any, labels: LabelMap) -> list[Annotation]:  # noqa: ANN401 - JSON
    """Annotations of an export, of all its projects; a data row without a label, or skipped, has none."""
    rows = document if isinstance(document, list) else [document]
    return each(rows, lambda row: _row(row, labels), lambda row: _addresses(row["data_row"])[0])


def _row(row: dict[str, Any], labels: LabelMap) -> Annotation | None:
    drawing = Drawing(labels)
    notes: list[str] = []
    used: list[dict[str, Any]] = []
    for project in row["projects"].values():
        given = [label for label in project["labels"] if not _skipped(label)]
        if not given:
            continue
        # Consensus gives several labels per row: merging them would duplicate places.
        if len(given) > 1:
            notes.append(f"{len(given) - 1} further labels of this image were not used")
        used.append(given[-1])
        for thing in given[-1]["annotations"].get("objects") or ():
            _add(drawing, thing)
    if not used:
        return None
    addresses = _addresses(row["data_row"])
    media = row.get("media_attributes") or {}
    details = used[0].get("label_details") or {}
    return Annotation(
        file_name(addresses[0]),
        _annotator(details),
        tuple(drawing.shapes),
        size=size_of(media.get("width"), media.get("height")),
        addresses=addresses,
        problems=drawing.problems,
        notes=tuple(notes),
        names=frozenset(drawing.names),
        refused=frozenset(drawing.refused),
        updated=moment(details.get("updated_at"), details.get("created_at")),
    )


def _add(drawing: Drawing, thing: Any) -> None:  # noqa: ANN401 - JSON
    if not isinstance(thing, dict):
        drawing.problem(f"an object that breaks its form ({thing!r:.40})")
        return
    names = [thing[key] for key in ("name", "value") if isinstance(thing.get(key), str)][:1]
    drawing.add(names, lambda: [_outline(thing)])


def _skipped(label: dict[str, Any]) -> bool:
    """Whether the annotator skipped the image, so that its content is unknown."""
    return bool((label.get("performance_details") or {}).get("skipped"))


def _outline(thing: dict[str, Any]) -> Outline:
    if thing.get("polygon"):
        return outline((point["x"], point["y"]) for point in thing["polygon"])
    if around := thing.get("bounding_box"):
        return box(around["left"], around["top"], around["width"], around["height"])
    raise Unusable(f"an object of kind '{thing.get('annotation_kind', 'unknown')}' is not a polygon")


def _annotator(details: dict[str, Any]) -> str:
    # The part before the @ identifies annotators; whole addresses are personal data and do not belong in a manifest.
    who = details.get("created_by") or ""
    return f"labelbox:{who.split('@')[0]}" if who else "labelbox"


def _addresses(data_row: dict[str, Any]) -> tuple[str, ...]:
    found = (data_row.get(key) for key in ("external_id", "global_key", "row_data"))
    return tuple(address for address in found if isinstance(address, str) and address) or ("",)
