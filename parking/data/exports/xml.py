"""XML of annotation tools: Pascal VOC, a file per image, and CVAT, a file for all."""

import math
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from parking.data.exports.addresses import file_name
from parking.data.exports.annotation import (
    Annotation,
    Drawing,
    Outline,
    Unusable,
    box,
    centred_box,
    each,
    moment,
    outline,
    size_of,
)
from parking.data.vocabulary import LabelMap
from parking.errors import AnnotationError


def read(text: bytes, key: str, labels: LabelMap) -> list[Annotation]:
    """Annotations of a file of either format; its encoding is the declared one.

    Raises:
        AnnotationError: no XML, or of another format.
    """
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]

    try:
        root = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise AnnotationError(f"'{key}' is no XML that can be read ({error}). Export it again.") from error
    if root.tag == "annotation":
        return each([root], lambda one: _voc(one, key, labels), lambda _: str(PurePosixPath(key).with_suffix("")))
    if root.tag == "annotations":
        return _cvat(root, labels)
    if root.tag == "View":
        # Label Studio's labelling config, which lies beside its exports.
        return []
    raise AnnotationError(
        f"'{key}' is no annotation file that we read: it begins with <{root.tag}>. Export as Pascal VOC or CVAT for "
        "images, or move it out of the folder."
    )


def _voc(root: Element, key: str, labels: LabelMap) -> Annotation:
    drawing = Drawing(labels)
    for thing in root.iter("object"):
        drawing.add([(thing.findtext("name") or "").strip()], lambda thing=thing: [_voc_outline(thing)])  # type: ignore[misc]
    named, folder = (root.findtext("filename") or "").strip(), (root.findtext("folder") or "").strip()
    beside = str(PurePosixPath(key).with_suffix(""))
    # The `filename` element is unreliable, but the XML file is named after the image.
    addresses = (f"{folder}/{named}" if folder else named, named, beside)
    return Annotation(
        file_name(named) or beside,
        "voc",
        tuple(drawing.shapes),
        size=size_of(root.findtext("size/width"), root.findtext("size/height")),
        addresses=tuple(dict.fromkeys(filter(None, addresses))),
        problems=drawing.problems,
        names=frozenset(drawing.names),
        refused=frozenset(drawing.refused),
        export="voc",
    )


def _voc_outline(thing: Element) -> Outline:
    """A polygon (Roboflow), a rotated box (roLabelImg), or an axis-aligned box."""
    polygon = thing.find("polygon")
    if polygon is not None:
        numbers = {part.tag: _number(part.text) for part in polygon if part.tag[:1] in "xy" and part.tag[1:].isdigit()}
        count = sum(tag.startswith("x") for tag in numbers)
        points = [(numbers[f"x{n}"], numbers[f"y{n}"]) for n in range(1, count + 1)]
        return outline(points or [(_number(p.findtext("x")), _number(p.findtext("y"))) for p in polygon.iter("pt")])
    turned = thing.find("robndbox")
    if turned is not None:
        x, y, width, height, angle = (_number(turned.findtext(tag)) for tag in ("cx", "cy", "w", "h", "angle"))
        return centred_box(x, y, width, height, math.degrees(angle))
    upright = thing.find("bndbox")
    if upright is None:
        raise Unusable("it has neither a polygon nor a box")
    left, top, right, bottom = (_number(upright.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return box(left, top, right - left, bottom - top)


def _cvat(root: Element, labels: LabelMap) -> list[Annotation]:
    declared = {(name.text or "").strip() for name in root.iterfind("meta//labels/label/name")}
    updated = moment(*(root.findtext(path) for path in ("meta/task/updated", "meta/project/updated", "meta/dumped")))

    declares = labels.meaning(declared) == "free"

    def image(found: Element) -> Annotation:
        drawing = Drawing(labels)
        for thing in found:
            if thing.tag != "tag":
                drawing.add([thing.get("label", "")], lambda thing=thing: [_cvat_outline(thing)])  # type: ignore[misc]
        address = found.attrib["name"]
        return Annotation(
            file_name(address),
            "cvat",
            tuple(drawing.shapes),
            size=size_of(found.get("width"), found.get("height")),
            addresses=(address,),
            problems=drawing.problems,
            names=frozenset(drawing.names | declared),
            refused=frozenset(drawing.refused),
            declares_free=declares,
            updated=updated,
        )

    images = each(root.iterfind("image"), image, lambda found: found.attrib["name"])
    if not images and root.find("track") is not None:
        raise AnnotationError("A CVAT file holds tracks of a video: export it as 'CVAT for images'.")
    return images


def _cvat_outline(thing: Element) -> Outline:
    if thing.tag == "polygon":
        points: list[Any] = [pair.split(",") for pair in thing.attrib["points"].split(";") if pair.strip()]
        return outline(points)
    if thing.tag == "box":
        left, top, right, bottom = (_number(thing.get(edge)) for edge in ("xtl", "ytl", "xbr", "ybr"))
        turned = _number(thing.get("rotation", "0"))
        return centred_box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, turned)
    raise Unusable(f"a shape of kind '{thing.tag}' is not a polygon")


def _number(text: str | None) -> float:
    if text is None:
        raise Unusable("a coordinate is missing")
    return float(text)
