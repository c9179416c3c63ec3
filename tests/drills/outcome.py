"""What comes of one try of a drill."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What came of one try."""

    counted: int
    """Things that must survive: answers, rows, requests, runs."""
    lost: int
    """Of them."""
    note: str = ""
    """What else was measured."""


class NotHereError(Exception):
    """This machine does not allow the drill."""
