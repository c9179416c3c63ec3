"""What one annotator drew on one image, and the words for a free place."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

from parking.data.polygons import Ring

FREE_LABELS = frozenset(
    {"parking", "car park", "carpark", "parking lot", "parking place", "parking space", "parking spot"}
    | {"free", "free parking", "free place", "free space", "free spot", "free parking place", "free parking space"}
    | {"free parking spot", "empty", "empty place", "empty space", "empty spot", "empty parking space"}
    | {"space empty", "available", "vacant"}
)
"""Labels that mean a free place; case, `_`, `-` and a plural s are ignored."""

OCCUPIED_LABELS = frozenset(
    {"occupied", "taken", "unavailable", "not free", "full", "space occupied", "space taken"}
    | {f"{word} {place}" for word in ("occupied", "taken") for place in ("place", "space", "spot", "parking")}
    | {f"{word} parking {place}" for word in ("occupied", "taken") for place in ("place", "space", "spot")}
)
"""Labels that mean the opposite: an image with nothing else was looked at, and has no free place."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator drew on one image.

    Attributes:
        image: the image's file name, without folders.
        annotator: who drew it, as far as the export says.
        rings: free places; empty means looked at, and none there.
        size: (width, height) of the image as it was annotated.
        problems: polygons that could not be read, a reason each.
        notes: what else was left aside, and does no harm.
    """

    image: str
    annotator: str
    rings: tuple[Ring, ...]
    size: tuple[int, int] | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Unusable(ValueError):  # noqa: N818 - a reason, not a failure
    """Why one polygon cannot be used."""


def means_free(labels: Iterable[object]) -> bool:
    """Whether any of a polygon's labels means a free place; if not, one means the opposite.

    Raises:
        Unusable: none says either.
    """
    given = [str(label) for label in labels]
    plain = {_plain(label) for label in given}
    if not plain & (FREE_LABELS | OCCUPIED_LABELS):
        shown = ", ".join(f"'{label}'" for label in given) or "none"
        raise Unusable(f"label {shown} is not a free place")
    return bool(plain & FREE_LABELS)


def outline(points: Iterable[Sequence[float]]) -> Ring:
    """A ring of at least three points, without the repeated last one.

    Raises:
        Unusable: fewer points, or one that is no number.
    """
    ring = tuple((float(x), float(y)) for x, y in points)
    ring = ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring
    if not all(math.isfinite(value) for point in ring for value in point):
        raise Unusable("a polygon has a coordinate that is no number")
    if len(set(ring)) < 3:
        raise Unusable(f"a polygon of {len(set(ring))} points has no area")
    return ring


def file_name(address: str) -> str:
    """The file name in a path or URL: of any system, percent-encoded, or in `?d=` as Label Studio's local files."""
    parts = urlsplit(address) if "://" in address or "?" in address else None
    path = address if parts is None else (parse_qs(parts.query).get("d") or [parts.path])[0]
    return PureWindowsPath(unquote(path)).name


def without_upload_prefix(name: str) -> str:
    """The name that an image had before Label Studio put eight hexadecimal digits in front of it."""
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().lower().removesuffix("s")
