"""Several annotations of one image: what counts where they say the same, add to each other, or differ."""

from collections.abc import Sequence
from dataclasses import replace

from parking.data.exports.annotation import Annotation
from parking.data.vocabulary import Label

__all__ = ["chosen"]

Subject = str
_VEHICLES, _PLACES = "vehicles", "places"
_OF_PLACES: frozenset[Label] = frozenset({"free", "occupied", "stall"})


def chosen(annotations: Sequence[Annotation]) -> tuple[list[Annotation], list[str]]:
    """The annotations of an image that count, and what is to be said of the others.

    Exports that look at different things, as one of vehicles and one of free places, add to each other. Of those that
    look at the same, the newest counts; where none has a date, the last by the name of its export. The same annotation
    in two exports is nothing to speak of.
    """
    whole = [one for one in annotations if not one.broken] or list(annotations[:1])
    taken: list[Annotation] = []
    notes: list[str] = []
    covered: set[Subject] = set()
    for one in sorted(whole, key=lambda one: (one.updated, one.export), reverse=True):
        rivals = [other for other in taken if _subjects(one) & _subjects(other)]
        notes += [_note(rival, one) for rival in rivals if _differ(rival, one)][:1]
        if own := _subjects(one) - covered:
            taken.append(_part(one, own))
            covered |= own
    # What says where places are names the annotator: splits are stratified by the habits of drawing these.
    taken.sort(key=lambda one: _PLACES not in _subjects(one))
    return taken, [note for one in taken for note in one.notes] + notes


def _subjects(annotation: Annotation) -> set[Subject]:
    places = annotation.known & _OF_PLACES or not annotation.known - {"ignore"}
    return ({_VEHICLES} if "vehicle" in annotation.known else set()) | ({_PLACES} if places else set())


def _part(annotation: Annotation, subjects: set[Subject]) -> Annotation:
    """An annotation as if it looked at some subjects alone; what is to be ignored is of no subject."""
    if subjects == _subjects(annotation):
        return annotation
    labels: set[Label] = {"vehicle"} if _VEHICLES in subjects else {*_OF_PLACES}
    shapes = tuple(shape for shape in annotation.shapes if shape.label in labels | {"ignore"})
    return replace(annotation, shapes=shapes, known=annotation.known & labels, refused=annotation.refused & labels)


def _differ(one: Annotation, other: Annotation) -> bool:
    shared = _subjects(one) & _subjects(other)
    return _content(_part(one, shared)) != _content(_part(other, shared))


def _content(annotation: Annotation) -> tuple[object, ...]:
    """What an annotation says, whoever says it: outlines to a ten-thousandth of the image."""
    width, height = annotation.size or (10_000, 10_000)
    shapes: list[tuple[Label, tuple[tuple[int, int], ...]]] = [
        (shape.label, tuple((round(x / width * 1e4), round(y / height * 1e4)) for x, y in shape.ring))
        for shape in annotation.shapes
    ]
    return (sorted(shapes), sorted(annotation.problems))


def _note(used: Annotation, left: Annotation) -> str:
    if used.updated > left.updated:
        when = f"of {left.updated[:10]}" if left.updated else "without a date"
        return f"annotated differently in '{left.export}' {when}: the newer one, of {used.updated[:10]}, was used"
    if used.export == left.export:
        return (
            f"annotated more than once in '{left.export}', without a date that tells which is newer: the last was used"
        )
    return (
        f"annotated differently in '{left.export}' and '{used.export}', and no date says which is newer: that of "
        f"'{used.export}' was used, by name the last; remove the other to choose"
    )
