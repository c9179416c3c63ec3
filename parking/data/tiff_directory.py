"""The main picture among those in a TIFF, with orientation and date.

GDAL reads the pictures, but gives neither orientation, nor which is a preview, nor the date of a camera. The few tags
for these are read here: Pillow's reader would load a whole directory into memory, whatever its declared size.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from parking.data.exif import day_taken, orientation_of

__all__ = ["TiffPicture", "main_picture"]

Tags = dict[int, int | tuple[int, ...] | bytes]

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 254, 255, 256, 257, 262, 274
_SUBIFDS, _XMP, _EXIF, _DATE_TIME_ORIGINAL = 330, 700, 34665, 36867
_READ = {
    *(_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION),
    *(_SUBIFDS, _XMP, _EXIF, _DATE_TIME_ORIGINAL),
}
_INTEGERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTES = {1, 2, 7}
"""Types of tags: integers by their size, and text or bytes."""

_PAGE = 2
"""The only bit of NewSubfileType that a main picture may have; the others mark previews and masks."""
_OLD_PREVIEW = 2
_SENSOR = {32803, 34892}
"""Photometric interpretations of raw photographs, which must be developed first."""
_MOST_DIRECTORIES = 256
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """One picture of a TIFF."""

    offset: int
    """Offset of its directory, in bytes."""

    is_first: bool
    """Whether it is the first in the file, which readers open by default."""

    is_raw: bool
    """Whether it is a raw photograph, which must be developed first."""

    orientation: int
    """Orientation tag, 1 to 8."""

    taken: date | None
    """The day on which it was taken, if the file states it."""

    alike: int
    """Pictures of this size in the file, this one included."""


def main_picture(data: bytes) -> TiffPicture | None:
    """The largest picture that is no preview or mask, the first of equals; None if the file is damaged."""
    directories = dict(_directories(data))
    pictures = {offset: tags for offset, tags in directories.items() if _is_picture(tags)} or directories
    if not pictures:
        return None
    chosen = max(pictures, key=lambda offset: _size(pictures[offset]))
    first = next(iter(directories))
    return TiffPicture(
        offset=chosen,
        is_first=chosen == first,
        is_raw=pictures[chosen].get(_PHOTOMETRIC) in _SENSOR,
        orientation=orientation_of(lambda: pictures[chosen]),
        taken=_day_taken(data, pictures[chosen]) or _day_taken(data, directories[first]),
        alike=sum(_size(tags) == _size(pictures[chosen]) for tags in pictures.values()),
    )


def _directories(data: bytes) -> Iterator[tuple[int, Tags]]:
    """All directories by their offset, in their order, each followed by those below it."""
    waiting, seen = [_Layout(data).first], set[int]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen:
            continue
        seen.add(offset)
        try:
            tags, following = _Layout(data).directory(offset)
        except struct.error:
            continue
        yield offset, tags
        below = tags.get(_SUBIFDS, ())
        waiting = [*(below if isinstance(below, tuple) else [below] if isinstance(below, int) else []), *waiting]
        if following:
            waiting.append(following)


class _Layout:
    """Layout of a TIFF: byte order, and whether it is a BigTIFF."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self.first = self._one("Q", 8) if self._big else self._one("I", 4)

    def directory(self, offset: int) -> tuple[Tags, int]:
        """The relevant tags of a directory, and the offset of the next one; 0 for none.

        Raises:
            struct.error: it lies beyond the end of the file.
        """
        count = self._one("Q" if self._big else "H", offset)
        begin, step = (offset + 8, 20) if self._big else (offset + 2, 12)
        end = begin + count * step
        following = self._one("Q" if self._big else "I", end)
        entries = (self._entry(place) for place in range(begin, end, step))
        return {tag: value for tag, value in entries if value is not None}, following

    def _entry(self, place: int) -> tuple[int, int | tuple[int, ...] | bytes | None]:
        tag, kind = self._one("H", place), self._one("H", place + 2)
        if tag not in _READ or not (kind in _INTEGERS or kind in _BYTES):
            return tag, None
        count = self._one("Q" if self._big else "I", place + 4)
        code = _INTEGERS.get(kind, "B")
        size = count * struct.calcsize(f"<{code}")
        at, room = (place + 12, 8) if self._big else (place + 8, 4)
        if not 0 < size <= _MOST_BYTES:
            return tag, None
        try:
            start = at if size <= room else self._one("Q" if self._big else "I", at)
            values = struct.unpack_from(f"{self._order}{count}{code}", self._data, start)
        except (struct.error, OverflowError):
            return tag, None
        return tag, bytes(values) if kind in _BYTES else values[0] if count == 1 else values

    def _one(self, code: str, offset: int) -> int:
        try:
            return int(struct.unpack_from(f"{self._order}{code}", self._data, offset)[0])
        except OverflowError as error:
            raise struct.error(str(error)) from error


def _day_taken(data: bytes, tags: Tags) -> date | None:
    exif = tags.get(_EXIF)
    return day_taken(lambda: _Layout(data).directory(exif)[0] if isinstance(exif, int) else {}, tags.get(_XMP))


def _is_picture(tags: Tags) -> bool:
    subfile = tags.get(_SUBFILE, 0)
    return isinstance(subfile, int) and not subfile & ~_PAGE and tags.get(_OLD_SUBFILE) != _OLD_PREVIEW


def _size(tags: Tags) -> int:
    width, height = tags.get(_WIDTH), tags.get(_HEIGHT)
    return width * height if isinstance(width, int) and isinstance(height, int) else 0
