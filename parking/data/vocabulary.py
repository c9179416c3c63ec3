"""Meanings of labels of annotation tools: a small vocabulary, the usual words, and those of the user."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from parking.errors import LabelsError

__all__ = ["FREE_LABELS", "LABELS", "OCCUPIED_LABELS", "Label", "LabelMap", "parse_labels"]

Label = Literal["free", "occupied", "stall", "vehicle", "ignore", "skip"]
"""`free` and `occupied` places, `stall` for a bay that may be either, `vehicle`, `ignore` for ground of which nothing
is to be learnt, `skip` for what says nothing of parking."""

LABELS: tuple[Label, ...] = get_args(Label)

_PLACES = ("place", "space", "spot", "slot", "bay", "stall")
_FREE_WORDS = ("free", "empty", "available", "vacant", "unoccupied")
_TAKEN_WORDS = ("occupied", "taken", "unavailable", "not free")


def _with_places(words: Iterable[str]) -> set[str]:
    """Each word alone, and before or after a place: `free`, `free spot`, `free parking spot`, `space free`."""
    named = {f"{parking}{place}" for place in _PLACES for parking in ("", "parking ")}
    return {
        phrase
        for word in words
        for phrase in (
            word,
            f"{word} parking",
            *(f"{word} {place}" for place in named),
            *(f"{p} {word}" for p in named),
        )
    }


FREE_LABELS = frozenset(
    {"parking", "car park", "carpark", "parking lot", "parking place", "parking space", "parking spot"}
    | _with_places(_FREE_WORDS)
)
OCCUPIED_LABELS = frozenset({"full"} | _with_places(_TAKEN_WORDS))
_STALL_LABELS = frozenset({"stall", "bay", "slot", "parking stall", "parking bay", "parking slot", "marked bay"})
_VEHICLE_LABELS = frozenset(
    {"vehicle", "car", "truck", "bus", "buses", "minibus", "minibuses", "coach", "coaches", "van", "lorry", "lorries"}
    | {"pickup", "pick up", "suv", "taxi", "sedan", "trailer", "camper", "caravan", "motorhome", "automobile", "auto"}
    | {"small vehicle", "large vehicle", "parked car", "parked vehicle", "moving car", "passenger car", "camping car"}
)
_IGNORE_LABELS = frozenset({"ignore", "ignored", "unknown", "unsure", "unclear", "object", "obstacle", "blurred"})
_SKIP_LABELS = frozenset(
    {"skip", "lot boundary", "parking lot boundary", "boundary", "car park boundary", "lot outline"}
    | {"cyclist", "bicycle", "bike", "motorcycle", "motorbike", "scooter", "pedestrian", "person", "people"}
)
_USUAL: dict[Label, frozenset[str]] = {
    "free": FREE_LABELS,
    "occupied": OCCUPIED_LABELS,
    "stall": _STALL_LABELS,
    "vehicle": _VEHICLE_LABELS,
    "ignore": _IGNORE_LABELS,
    "skip": _SKIP_LABELS,
}


class LabelMap:
    """Meanings of labels: those of the user, and for all others the usual words.

    Case, `_`, `-` and a plural s make no difference.
    """

    def __init__(self, given: Mapping[str, Label] | None = None) -> None:
        self.given = dict(given or {})
        self._meaning = {_plain(word): label for label, words in _USUAL.items() for word in words}
        self._meaning |= {_plain(word): label for word, label in self.given.items()}

    def meaning(self, names: Iterable[object]) -> Label | None:
        """The meaning of a shape with these labels: of several, the first in `LABELS`; None if none is known."""
        found = {self._meaning.get(_plain(str(name))) for name in names}
        return next((label for label in LABELS if label in found), None)

    def check(self, used: Iterable[str]) -> None:
        """Check that every label of the user's mapping occurs.

        Raises:
            LabelsError: one does not; the message lists those that do.
        """
        known = set(used)
        plain = {_plain(name) for name in known}
        for name in self.given:
            if _plain(name) not in plain:
                shown = ", ".join(f"'{one}'" for one in sorted(known)[:20]) or "none at all"
                raise LabelsError(
                    f"--labels names '{name}', but the annotations use {shown}. Correct or drop '{name}'."
                )


def parse_labels(text: str) -> LabelMap:
    """Parse a mapping such as `stall=stall,car=vehicle`.

    Raises:
        LabelsError: a part is no `label=meaning`, its meaning is none of the vocabulary, or a label has two.
    """
    given: dict[str, Label] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, meant = (side.strip() for side in part.rpartition("="))
        label = next((one for one in LABELS if one == meant.lower()), None)
        if not equals or not name or label is None:
            raise LabelsError(
                f"'{part}' is no mapping of a label: write label=meaning, such as pkw=vehicle, where the meaning is "
                f"one of {', '.join(LABELS)}."
            )
        if any(_plain(name) == _plain(known) and given[known] != label for known in given):
            raise LabelsError(f"--labels gives '{name}' two meanings: keep one of them.")
        given[name] = label
    return LabelMap(given)


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().lower().removesuffix("s")
