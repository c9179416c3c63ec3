"""The annotation of one image by one annotator, as every reader of an export returns it."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from parking.data.polygons import Ring
from parking.data.vocabulary import Label, LabelMap

__all__ = [
    "Annotation",
    "Drawing",
    "Outline",
    "Shape",
    "Unusable",
    "box",
    "centred_box",
    "each",
    "moment",
    "outline",
    "size_of",
]

ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""Exceptions of reading a record with another structure than its neighbours."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated shape.

    Attributes:
        label: its meaning.
        ring: its outline.
        box: whether the outline is only the axis-aligned bounding box.
    """

    label: Label
    ring: Ring
    box: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotation of one image by one annotator.

    Attributes:
        image: name of the image, for messages.
        annotator: name of the annotator, if the export states it.
        shapes: the shapes; empty if the image was annotated and has none.
        size: (width, height) of the image as it was annotated.
        relative: whether coordinates are shares of `size`, whatever the aspect ratio of the image.
        addresses: possible addresses of the image in the export, the likeliest first.
        problems: reasons why shapes could not be read.
        notes: other remarks, which are harmless.
        names: labels of the tool that occur, or that the export declares.
        refused: meanings of shapes that could not be used.
        declares_free: whether the export has a label for free places, used or not.
        known: meanings that the whole export uses.
        updated: time of the last change; empty if the export does not state it.
        export: the file, or set of files, that it belongs to.
        broken: whether the record has another structure than its neighbours.
    """

    image: str
    annotator: str
    shapes: tuple[Shape, ...] = ()
    size: tuple[float, float] | None = None
    relative: bool = False
    addresses: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    refused: frozenset[Label] = frozenset()
    declares_free: bool = False
    known: frozenset[Label] = frozenset()
    updated: str = ""
    export: str = ""
    broken: bool = False

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Outlines of the shapes labelled free."""
        return tuple(shape.ring for shape in self.shapes if shape.label == "free")


class Unusable(ValueError):  # noqa: N818 - a reason, not a failure
    """A shape cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A ring, and whether it is only an axis-aligned bounding box."""

    ring: Ring
    box: bool = False


@dataclass(slots=True)
class Drawing:
    """Collects the shapes of one image; one that cannot be used becomes a problem, and the others are kept."""

    labels: LabelMap
    shapes: list[Shape] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    refused: set[Label] = field(default_factory=set)
    _problems: Counter[str] = field(default_factory=Counter)

    def add(self, names: Iterable[object], outlines: Callable[[], Sequence[Outline]], where: str = "") -> None:
        """Add a shape: its labels, and a function that gives its parts."""
        given = [str(name) for name in names]
        self.names.update(given)
        label = self.labels.meaning(given)
        if label == "skip":
            return
        try:
            self._draw(label, given, outlines)
        except Unusable as reason:
            # What a label means is the same on every line.
            self.problem(f"{where if label else ''}{reason}")
        except ODD as error:
            self.problem(f"{where}a shape that breaks its form ({type(error).__name__}: {error})")
        else:
            return
        self.refused |= {label} if label else set()

    def _draw(self, label: Label | None, names: list[str], outlines: Callable[[], Sequence[Outline]]) -> None:
        if label is None:
            shown = ", ".join(f"'{name}'" for name in names) or "none"
            raise Unusable(f"label {shown} is not a free place, nor another word that we know; see --labels")
        drawn = outlines()
        if label == "free" and any(outline.box for outline in drawn):
            # What lies in the box is neither known to be free nor known not to be.
            self.shapes += [Shape("ignore", outline.ring, box=True) for outline in drawn]
            raise Unusable("a box takes in more than the free place: draw polygons, or boxes turned to the place")
        self.shapes += [Shape(label, outline.ring, outline.box) for outline in drawn]

    def problem(self, reason: str) -> None:
        """Note a problem; equal reasons are counted."""
        self._problems[reason] += 1

    @property
    def problems(self) -> tuple[str, ...]:
        """The reasons, with counts."""
        return tuple(reason if n == 1 else f"{reason} ({n} times)" for reason, n in self._problems.items())


def outline(points: Iterable[Sequence[float]]) -> Outline:
    """A ring of at least three points, without the repeated last one.

    Raises:
        Unusable: fewer points, or a coordinate that is no number.
    """
    ring = tuple((float(x), float(y)) for x, y in points)
    ring = ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring
    if not all(math.isfinite(value) for point in ring for value in point):
        raise Unusable("a polygon has a coordinate that is no number")
    if len(set(ring)) < 3:
        raise Unusable(f"a polygon of {len(set(ring))} points has no area")
    return Outline(ring)


def box(left: float, top: float, width: float, height: float, degrees: float = 0.0) -> Outline:
    """A box by its corner and size, rotated clockwise about that corner.

    Raises:
        Unusable: it has no area, or a value is no number.
    """
    left, top, width, height, degrees = (float(value) for value in (left, top, width, height, degrees))
    if not all(map(math.isfinite, (left, top, width, height, degrees))) or width <= 0 or height <= 0:
        raise Unusable(f"a box of {width:g} x {height:g} has no area")
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    ring = tuple((left + x * cos - y * sin, top + x * sin + y * cos) for x, y in corners)
    return Outline(ring, box=degrees % 90 == 0)


def centred_box(x: float, y: float, width: float, height: float, degrees: float = 0.0) -> Outline:
    """A box by its centre and size, rotated clockwise about its centre."""
    turn = math.radians(float(degrees))
    across, down = float(width) / 2, float(height) / 2
    left = float(x) - across * math.cos(turn) + down * math.sin(turn)
    top = float(y) - across * math.sin(turn) - down * math.cos(turn)
    return box(left, top, width, height, degrees)


def size_of(width: object, height: object) -> tuple[float, float] | None:
    """The size of an image by the export; None if it is missing or impossible."""
    try:
        size = float(str(width)), float(str(height))
    except ValueError:
        return None
    return size if all(math.isfinite(edge) and edge > 0 for edge in size) else None


def moment(*stamps: object) -> str:
    """The first of these that is a time, in a sortable format; empty if none is."""
    for stamp in stamps:
        try:
            when = datetime.fromisoformat(str(stamp).strip().replace("/", "-"))
        except ValueError:
            continue
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    return ""


_Record = TypeVar("_Record")


def each(
    records: Iterable[_Record], read: Callable[[_Record], Annotation | None], name: Callable[[_Record], str]
) -> list[Annotation]:
    """Read records one at a time; a malformed one makes its image unusable, and the others are kept.

    Args:
        records: of an export, one per image.
        read: reads a record; returns None for an image that was not annotated.
        name: the address of the image of a record, if it can be read.
    """
    found: list[Annotation] = []
    for number, record in enumerate(records, 1):
        try:
            one = read(record)
        except ODD as error:
            one = _broken(record, number, name, error)
        if one is not None:
            found.append(one)
    return found


def _broken(record: _Record, number: int, name: Callable[[_Record], str], error: Exception) -> Annotation:
    try:
        address = name(record)
    except ODD:
        address = ""
    reason = f"its record breaks the form of the export ({type(error).__name__}: {error})"
    return Annotation(
        address.rpartition("/")[2] or f"record {number}",
        "",
        addresses=(address,) if address else (),
        problems=(reason,),
        broken=True,
    )
