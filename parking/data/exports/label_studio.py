"""Label Studio's JSON export: polygons and rectangles in percent of the image."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from parking.data.exports.addresses import file_name, looks_like_image
from parking.data.exports.annotation import Annotation, Drawing, Outline, Unusable, box, each, moment, outline, size_of
from parking.data.vocabulary import LabelMap

_PERCENT = (100.0, 100.0)
_REGIONS = ("polygon", "rectangle", "ellipse", "brush", "keypoint", "vector", "bitmask")
"""Prefixes of the types of results that are shapes. Others (choices, numbers, dates) describe the image."""

Result = dict[str, Any]


def read(document: Any, labels: LabelMap) -> list[Annotation]:  # noqa: ANN401 - JSON
    """Annotations of an export; a task without any is still waiting, and has none."""
    tasks = document if isinstance(document, list) else [document]
    return each(tasks, lambda task: _task(task, labels), lambda task: _addresses(task)[0])


def _task(task: dict[str, Any], labels: LabelMap) -> Annotation | None:
    kept = [annotation for annotation in task["annotations"] if not annotation.get("was_cancelled")]
    if not kept:
        return None
    # Of several annotations of an image the reviewed one counts, otherwise the last: merging would duplicate places.
    chosen = next((one for one in reversed(kept) if one.get("ground_truth")), kept[-1])
    size = next((size for one in chosen["result"] if (size := _size(one))), None)
    drawing = _draw(chosen["result"], labels, size)
    addresses = _addresses(task)
    who = chosen.get("completed_by")
    who = who.get("id") if isinstance(who, dict) else who
    return Annotation(
        file_name(addresses[0]),
        f"label-studio:{who}",
        tuple(drawing.shapes),
        size=size or _PERCENT,
        relative=size is None,
        addresses=addresses,
        problems=drawing.problems,
        notes=(f"{len(kept) - 1} further annotations of this image were not used",) if len(kept) > 1 else (),
        names=frozenset(drawing.names),
        refused=frozenset(drawing.refused),
        updated=moment(chosen.get("updated_at"), chosen.get("created_at")),
    )


def _draw(results: Iterable[Result], labels: LabelMap, size: tuple[float, float] | None) -> Drawing:
    """Regions: results with the same id, such as an outline, its labels, and further attributes."""
    regions: dict[Any, list[Result]] = defaultdict(list)
    for number, result in enumerate(results):
        regions[result.get("id", number) if isinstance(result, dict) else number].append(result)
    drawing = Drawing(labels)
    for parts in regions.values():
        try:
            drawn = _drawn(parts)
            names = [name for part in parts for name in _names(part)] or [
                name for part in parts for name in (part.get("value") or {}).get("choices") or ()
            ]
        except (AttributeError, TypeError) as error:
            drawing.problem(f"a region that breaks its form ({error})")
            continue
        if drawn is not None:
            drawing.add(names, lambda drawn=drawn: [_outline(drawn, size)])  # type: ignore[misc]
    return drawing


def _drawn(parts: list[Result]) -> Result | None:
    """The result of a region that has its outline; None if there is none."""
    kinds = [str(part.get("type", "")) for part in parts]
    drawn = [part for part, kind in zip(parts, kinds, strict=True) if kind.startswith(_REGIONS)]
    labelled = [part for part, kind in zip(parts, kinds, strict=True) if kind == "labels"]
    return next(iter([*drawn, *labelled]), None)


def _names(part: Result) -> list[Any]:
    """Labels of a result, stored under the name of its type, such as `polygonlabels`."""
    value = part.get("value") or {}
    return [name for key in value if key.endswith("labels") for name in value[key] or ()]


def _outline(region: Result, size: tuple[float, float] | None) -> Outline:
    kind, value = str(region["type"]), region["value"]
    if region.get("image_rotation"):
        raise Unusable(f"the image was turned by {region['image_rotation']} degrees while it was annotated")
    across, down = (edge / 100 for edge in size or _PERCENT)
    if kind.startswith("polygon") or (kind == "labels" and "points" in value):
        return outline((x * across, y * down) for x, y in value["points"])
    if kind.startswith("rectangle") or (kind == "labels" and "height" in value):
        turned = value.get("rotation") or 0
        if turned and size is None:
            raise Unusable("a turned box needs the image's size, which the export lacks")
        left, top, width, height = (value[key] for key in ("x", "y", "width", "height"))
        return box(left * across, top * down, width * across, height * down, turned)
    raise Unusable(f"a region of type '{kind}' is not a polygon")


def _size(result: Any) -> tuple[float, float] | None:  # noqa: ANN401 - JSON
    if not isinstance(result, dict):
        return None
    return size_of(result.get("original_width"), result.get("original_height"))


def _addresses(task: dict[str, Any]) -> tuple[str, ...]:
    """Addresses of the uploaded file; the name of the data field is chosen by each project."""
    data = task["data"]
    texts = [value for value in (data.get("image"), *data.values(), task.get("file_upload")) if isinstance(value, str)]
    named = [text for text in texts if looks_like_image(text)]
    return tuple(dict.fromkeys([*named, *texts])) or ("",)
