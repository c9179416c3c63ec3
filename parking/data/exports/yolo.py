"""YOLO: a text file per image, with a box or a polygon per line in shares of the image, and a file of class names.

Sources: docs.ultralytics.com/datasets (detect, segment, obb) for the lines and `data.yaml`; `classes.txt` is labelImg's
and Label Studio's, `obj.names` Darknet's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from parking.data.exports.annotation import (
    Annotation,
    Drawing,
    Outline,
    Unusable,
    centred_box,
    outline,
)
from parking.data.vocabulary import LabelMap
from parking.errors import AnnotationError
from parking.storage import Store

_NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
_NO_LABELS = (*_NAME_LISTS, "train.txt", "val.txt", "test.txt")
_FAR = 1.5
"""Coordinates beyond this are pixels and not shares: annotators exceed the edge by a little only."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the classes of a YOLO set, by number.

    Attributes:
        key: the file with the names.
        of: names by class number.
        keypoints: whether lines contain keypoints after their box.
    """

    key: str
    of: Mapping[int, str]
    keypoints: bool = False


def read(store: Store, keys: Sequence[str], images: Sequence[str], labels: LabelMap) -> list[Annotation]:
    """Annotations of the images with a label file; an image without one was not annotated.

    Args:
        store: the source.
        keys: everything in it.
        images: keys of its images.
        labels: meanings of the class names.

    Raises:
        AnnotationError: label files without names of their classes, or names that cannot be read.
    """
    texts = {key for key in keys if key.lower().endswith(".txt") and PurePosixPath(key).name not in _NO_LABELS}
    of_image = {image: next((key for key in _label_keys(image) if key in texts), None) for image in images}
    orphans = {key for key in texts if PurePosixPath(key).parent.name == "labels"} - set(of_image.values())
    if not orphans and not any(of_image.values()):
        return []
    names = _all_names(store, keys)
    if not names and not any(_is_label(store, key) for key in of_image.values() if key):
        return []
    pairs = [*((image, key) for image, key in of_image.items() if key), *((None, key) for key in sorted(orphans))]
    return [_annotation(store, image, key, _nearest(names, key), labels) for image, key in pairs]


def names_file(key: str) -> bool:
    """Whether a key can be the list of classes of a YOLO set."""
    name = PurePosixPath(key).name.lower()
    return name in _NAME_LISTS or name.endswith((".yaml", ".yml"))


def _label_keys(image: str) -> Iterable[str]:
    """Possible label files of an image: `labels` in place of the last `images`, beside it, or in `labels` below."""
    path = PurePosixPath(image).with_suffix(".txt")
    folders = list(path.parts[:-1])
    for place in reversed(range(len(folders))):
        if folders[place].lower() in ("images", "jpegimages", "img", "imgs"):
            yield "/".join([*folders[:place], "labels", *folders[place + 1 :], path.name])
    yield str(path)
    yield "/".join([*folders, "labels", path.name])
    if folders:
        yield "/".join([*folders[:-1], "labels", path.name])
        yield "/".join(["labels", *folders, path.name])


def _all_names(store: Store, keys: Sequence[str]) -> dict[str, Names]:
    """Lists of classes by their folder."""
    found: dict[str, Names] = {}
    for key in sorted(
        (key for key in keys if names_file(key)), key=lambda key: key.lower().endswith((".yaml", ".yml"))
    ):
        names = _names(store, key)
        if names is not None:
            folder = str(PurePosixPath(key).parent)
            found["" if folder == "." else folder] = names
    return found


def _names(store: Store, key: str) -> Names | None:
    try:
        text = store.read(key).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"'{key}' is no text in UTF-8 ({error.reason}). Save it as UTF-8.") from error
    if not key.lower().endswith((".yaml", ".yml")):
        lines = [line.strip() for line in text.splitlines()]
        return Names(key, {number: line for number, line in enumerate(lines) if line})
    import yaml  # type: ignore[import-untyped]  # late: of all formats only this one needs it

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        if PurePosixPath(key).stem not in ("data", "dataset"):
            # Of another program, with a different structure.
            return None
        raise AnnotationError(f"'{key}' is no YAML ({str(error).splitlines()[0]}). Mend or remove it.") from error
    if not isinstance(document, dict) or "names" not in document:
        return None
    return Names(key, _by_number(document["names"], key), "kpt_shape" in document)


def _by_number(names: Any, key: str) -> dict[int, str]:  # noqa: ANN401 - YAML
    """Names as a list, or as a mapping from numbers."""
    try:
        if isinstance(names, list):
            return {number: str(name) for number, name in enumerate(names)}
        if isinstance(names, dict):
            return {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"'{key}' numbers its classes by something else ({error}).") from error
    raise AnnotationError(
        f"'{key}' names its classes as neither list nor mapping: {names!r:.60}. Write names: [car, …]."
    )


def _nearest(names: Mapping[str, Names], key: str) -> Names:
    """The list in the nearest folder above a label file, otherwise the only one in the source."""
    for folder in PurePosixPath(key).parents:
        if found := names.get("" if str(folder) == "." else str(folder)):
            return found
    if len({tuple(sorted(one.of.items())) for one in names.values()}) == 1:
        return next(iter(names.values()))
    raise AnnotationError(
        f"'{key}' holds YOLO labels, but no data.yaml or classes.txt above it names its classes. Put one there, with "
        "the names in the order of their numbers."
    )


def _is_label(store: Store, key: str) -> bool:
    """Whether a text file beside an image contains labels, and not notes."""
    lines = [line.split() for line in store.read(key).decode("utf-8", "replace").splitlines() if line.strip()]
    return bool(lines) and all(len(line) >= 5 and _numbers(line) is not None for line in lines)


def _annotation(store: Store, image: str | None, key: str, names: Names, labels: LabelMap) -> Annotation:
    drawing = Drawing(labels)
    drawing.names |= set(names.of.values())
    for number, line in enumerate(store.read(key).decode("utf-8-sig", "replace").split("\n"), 1):
        if parts := line.split():
            _add(drawing, parts, names, number)
    return Annotation(
        PurePosixPath(image or key).name,
        f"yolo:{'+'.join(names.of.values())}"[:60],
        tuple(drawing.shapes),
        size=(1.0, 1.0),
        relative=True,
        # For labels without an image, the name that the image would have.
        addresses=(image or str(PurePosixPath(key).with_suffix("")),),
        problems=drawing.problems,
        names=frozenset(drawing.names),
        refused=frozenset(drawing.refused),
        declares_free=labels.meaning(names.of.values()) == "free",
        export=names.key,
    )


def _add(drawing: Drawing, parts: Sequence[str], names: Names, line: int) -> None:
    numbers = _numbers(parts)
    if numbers is None:
        drawing.problem(f"line {line} is no row of numbers")
        return
    name = names.of.get(int(numbers[0])) if numbers[0].is_integer() else None
    if name is None:
        drawing.problem(f"class {numbers[0]:g} is not in '{names.key}', which names {len(names.of)}: add it there")
        return
    drawing.add([name], lambda: [_outline(numbers[1:], names.keypoints)], f"line {line}: ")


def _numbers(parts: Sequence[str]) -> list[float] | None:
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def _outline(values: Sequence[float], keypoints: bool) -> Outline:
    """Four numbers are a box, a fifth is its confidence; more are the corners of a polygon."""
    if any(abs(value) > _FAR for value in values):
        raise Unusable("coordinates are in pixels, but YOLO's are shares of the image, from 0 to 1")
    if len(values) in (4, 5) or (keypoints and len(values) > 5):
        return centred_box(*values[:4])
    if len(values) < 6 or len(values) % 2:
        raise Unusable(f"{len(values)} coordinates are neither a box nor a polygon")
    return outline(zip(values[::2], values[1::2], strict=True))
