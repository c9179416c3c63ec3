"""COCO: one object with images, categories, and polygons or boxes in pixels."""

from collections import defaultdict
from typing import Any

from parking.data.exports.addresses import file_name
from parking.data.exports.annotation import Annotation, Drawing, Outline, Unusable, box, each, moment, outline, size_of
from parking.data.vocabulary import LabelMap


def read(document: dict[str, Any], labels: LabelMap) -> list[Annotation]:
    """An annotation for each listed image; one without polygons was annotated and has no free place."""
    categories = {one["id"]: one["name"] for one in document.get("categories") or () if _has(one, "id", "name")}
    info = document.get("info")
    about = info if isinstance(info, dict) else {}
    things: dict[Any, list[Any]] = defaultdict(list)
    for thing in document["annotations"]:
        things[thing["image_id"] if _has(thing, "image_id") else "unknown"].append(thing)

    declares = labels.meaning(categories.values()) == "free"

    def image(listed: dict[str, Any]) -> Annotation:
        drawing = Drawing(labels)
        for thing in things.pop(listed["id"], ()):
            _add(drawing, thing, categories)
        return Annotation(
            file_name(listed["file_name"]),
            f"coco:{about.get('contributor') or ''}".removesuffix(":"),
            tuple(drawing.shapes),
            size=size_of(listed.get("width"), listed.get("height")),
            addresses=tuple(str(listed[key]) for key in ("file_name", "coco_url", "path") if listed.get(key)),
            problems=drawing.problems,
            names=frozenset(drawing.names) | {str(name) for name in categories.values()},
            refused=frozenset(drawing.refused),
            declares_free=declares,
            updated=moment(listed.get("date_captured"), about.get("date_created")),
        )

    found = each(document["images"], image, lambda listed: str(listed["file_name"]))
    reason = ("its polygons belong to no image that is listed",)
    return found + [
        Annotation(f"(image id {number}, not listed)", "", problems=reason, broken=True) for number in things
    ]


def _has(one: Any, *keys: str) -> bool:  # noqa: ANN401 - JSON
    return isinstance(one, dict) and all(isinstance(one.get(key), str | int | float) for key in keys)


def _add(drawing: Drawing, thing: dict[str, Any], categories: dict[Any, Any]) -> None:
    number = thing.get("category_id")
    name = categories.get(number, number) if isinstance(number, str | int | float) else number
    for part in _parts(thing.get("segmentation")):
        drawing.add([name], lambda part=part: [_outline(part, thing.get("bbox"))], f"annotation {thing.get('id')}: ")  # type: ignore[misc]


def _parts(segmentation: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """The parts of an object that is divided by an occlusion; a mask, a single polygon or nothing is one part."""
    if isinstance(segmentation, list) and segmentation and isinstance(segmentation[0], list):
        return [part for part in segmentation if part] or [None]
    return [segmentation]


def _outline(part: Any, around: Any) -> Outline:  # noqa: ANN401 - JSON
    if isinstance(part, dict):
        raise Unusable("a run-length mask (RLE) is not a polygon; export polygons")
    if part:
        return _polygon(part)
    if around:
        left, top, width, height = around
        return box(left, top, width, height)
    raise Unusable("it has neither a polygon nor a box")


def _polygon(part: list[Any]) -> Outline:
    if isinstance(part[0], list):
        return outline(part)
    if len(part) % 2:
        raise Unusable(f"a polygon of {len(part)} numbers lacks a coordinate")
    return outline(zip(part[::2], part[1::2], strict=True))
