"""What a camera notes beside its picture: how it was held, and on which day."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

_XMP_TAKEN = re.compile(rb"""exif:DateTimeOriginal\s*(?:=\s*["']|>)\s*(\d{4}-\d\d-\d\d)""")
_LATEST = timedelta(days=1)
"""How far ahead a clock may be, by its time zone; a day after that is none."""

# Not `DateTime`, which is when the file was last changed, nor `DateTimeDigitized`, which is when a print was scanned:
# an old image would look fresh.
_TAKEN = ExifTags.Base.DateTimeOriginal


def orientation_of(read_tags: Callable[[], Mapping[int, object]]) -> int:
    """The orientation among EXIF or TIFF tags, 1 to 8; 1, upright, where there is none or a damaged one."""
    found = _tag(read_tags, ExifTags.Base.Orientation)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def day_taken(read_exif: Callable[[], Mapping[int, object]], xmp: object = None) -> date | None:
    """The day on which a picture was taken; None where nothing says it.

    Args:
        read_exif: reads the tags of the EXIF directory.
        xmp: the XMP packet, where there is one.
    """
    day = parse_day(_tag(read_exif, _TAKEN))
    if day is None and isinstance(xmp, bytes) and (found := _XMP_TAKEN.search(xmp)):
        day = parse_day(found[1].decode())
    return day


def parse_day(stamp: object) -> date | None:
    """The day that a time stamp of EXIF or ISO 8601 names; None where it names none that has been."""
    text = stamp.decode("ascii", "replace") if isinstance(stamp, bytes) else str(stamp)
    digits = re.match(r"\s*(\d{4})[:/-]?(\d\d)[:/-]?(\d\d)(?!\d)", text)
    try:
        day = date(*map(int, digits.groups())) if digits else None
    except ValueError:
        return None
    return day if day and date(1900, 1, 1) < day <= datetime.now(UTC).date() + _LATEST else None


def upright(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """(H, W, …) as a person would hold it, by the orientation that EXIF and TIFF know, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    across, down = {2: (-1, 1), 3: (-1, -1), 4: (1, -1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}.get(orientation, (1, 1))
    return pixels[::down, ::across]


def _tag(read_tags: Callable[[], Mapping[int, object]], tag: int) -> object:
    """One tag; None where it is missing, or damaged: Pillow decodes each as it is asked for."""
    try:
        return read_tags().get(tag)
    except Exception:  # noqa: BLE001 - a camera's notes may be damaged in any way; the picture is what matters
        return None
