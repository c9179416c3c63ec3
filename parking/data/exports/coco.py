"""COCO: one object with images, categories and polygons in pixels."""

from typing import Any

from parking.data.exports.annotation import Annotation, Unusable, file_name, means_free, outline
from parking.data.polygons import Ring


def read(document: dict[str, Any]) -> list[Annotation]:
    """An annotation for each image that is listed: one without polygons was looked at, and has no free place."""
    names = {category["id"]: category["name"] for category in document.get("categories", ())}
    rings: dict[Any, list[Ring]] = {image["id"]: [] for image in document["images"]}
    problems: dict[Any, list[str]] = {}
    for thing in document["annotations"]:
        number = thing["image_id"]
        try:
            if not means_free([names.get(thing["category_id"], thing["category_id"])]):
                rings.setdefault(number, [])
                continue
        except Unusable as reason:
            problems.setdefault(number, []).append(str(reason))
            continue
        for part in _parts(thing):
            try:
                rings.setdefault(number, []).append(_polygon(part))
            except Unusable as reason:
                problems.setdefault(number, []).append(f"annotation {thing.get('id')}: {reason}")
    annotator = f"coco:{document.get('info', {}).get('contributor', '')}".removesuffix(":")
    listed = {image["id"]: image for image in document["images"]}
    return [
        _annotation(listed.get(number), number, annotator, rings.get(number, []), problems.get(number, []))
        for number in dict.fromkeys([*rings, *problems])
    ]


def _annotation(
    image: dict[str, Any] | None, number: object, annotator: str, rings: list[Ring], problems: list[str]
) -> Annotation:
    if image is None:
        return Annotation(f"(image id {number}, not listed)", annotator, tuple(rings), None, tuple(problems))
    size = (int(image["width"]), int(image["height"])) if {"width", "height"} <= image.keys() else None
    return Annotation(file_name(image["file_name"]), annotator, tuple(rings), size, tuple(problems))


def _parts(thing: dict[str, Any]) -> list[Any]:
    """The parts of an object that something in front divides; a run-length mask or nothing is one part."""
    segmentation = thing.get("segmentation")
    return segmentation if isinstance(segmentation, list) and segmentation else [segmentation]


def _polygon(part: Any) -> Ring:  # noqa: ANN401 - JSON
    if isinstance(part, dict):
        raise Unusable("a run-length mask (RLE) is not a polygon; export polygons")
    if not part:
        raise Unusable("it has no polygon, only a box")
    if len(part) % 2:
        raise Unusable(f"a polygon of {len(part)} numbers lacks a coordinate")
    return outline(zip(part[::2], part[1::2], strict=True))
