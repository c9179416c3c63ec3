"""EXIF and XMP metadata: orientation, and the day on which an image was taken."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

__all__ = ["day_taken", "orientation_of", "parse_day", "upright"]

_XMP_TAKEN = re.compile(rb"""exif:DateTimeOriginal\s*(?:=\s*["']|>)\s*(\d{4}-\d\d-\d\d)""")
_LATEST = timedelta(days=1)
"""How far in the future a time stamp may be, because of time zones; later ones are ignored."""

# Not `DateTime`, which is when the file was last changed, nor `DateTimeDigitized`, which is when a print was scanned:
# an old image would seem new.
_TAKEN = ExifTags.Base.DateTimeOriginal


def orientation_of(read_tags: Callable[[], Mapping[int, object]]) -> int:
    """The orientation tag of EXIF or TIFF, 1 to 8; 1 (upright) if it is missing or damaged."""
    found = _tag(read_tags, ExifTags.Base.Orientation)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def day_taken(read_exif: Callable[[], Mapping[int, object]], xmp: object = None) -> date | None:
    """The day on which an image was taken; None if it is not known.

    Args:
        read_exif: reads the tags of the EXIF directory.
        xmp: the XMP packet, if there is one.
    """
    day = parse_day(_tag(read_exif, _TAKEN))
    if day is None and isinstance(xmp, bytes) and (found := _XMP_TAKEN.search(xmp)):
        day = parse_day(found[1].decode())
    return day


def parse_day(stamp: object) -> date | None:
    """The day of a time stamp in EXIF's format or ISO 8601; None if it is malformed or in the future."""
    text = stamp.decode("ascii", "replace") if isinstance(stamp, bytes) else str(stamp)
    digits = re.match(r"\s*(\d{4})[:/-]?(\d\d)[:/-]?(\d\d)(?!\d)", text)
    try:
        day = date(*map(int, digits.groups())) if digits else None
    except ValueError:
        return None
    return day if day and date(1900, 1, 1) < day <= datetime.now(UTC).date() + _LATEST else None


def upright(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """(H, W, …) turned upright by the orientation tag of EXIF or TIFF, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    across, down = {2: (-1, 1), 3: (-1, -1), 4: (1, -1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}.get(orientation, (1, 1))
    return pixels[::down, ::across]


def _tag(read_tags: Callable[[], Mapping[int, object]], tag: int) -> object:
    """The value of a tag; None if it is missing or damaged, which Pillow notices only on access."""
    try:
        return read_tags().get(tag)
    except Exception:  # noqa: BLE001 - metadata may be damaged in any way; the image can still be used
        return None
