"""`python -m tests.drills --minutes N`: every drill in turns, until the time is over."""

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.drills.drills import DRILLS, stop_all
from tests.drills.outcome import NotHereError, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- drills -->", "<!-- end of drills -->"


@dataclass
class Line:
    """One drill's tries so far."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Tries that did not come to their end, and why."""
    not_here: str = ""

    def cells(self) -> list[str]:
        """As the table shows it."""
        if self.not_here:
            return [self.name, "0", "", "", "", self.not_here]
        survived = sum(not one.lost for one in self.outcomes)
        counted, lost = (sum(getattr(one, what) for one in self.outcomes) for what in ("counted", "lost"))
        notes = [*dict.fromkeys(one.note for one in self.outcomes if one.note)][-1:] + self.broken[-1:]
        tries = len(self.outcomes) + len(self.broken)
        return [self.name, str(tries), str(survived), str(counted), str(lost), "; ".join(notes)]


def run(minutes: float, names: Sequence[str]) -> list[Line]:
    """All drills in turns; each at least once."""
    lines = [Line(name) for name in names]
    end = time.monotonic() + minutes * 60
    turn = 0
    while turn < len(lines) or time.monotonic() < end:
        line = lines[turn % len(lines)]
        turn += 1
        if not line.not_here:
            _try(line)
            print(" | ".join(line.cells()), flush=True)
    return lines


def _try(line: Line) -> None:
    with tempfile.TemporaryDirectory(prefix="parking-drill-", ignore_cleanup_errors=True) as folder:
        try:
            line.outcomes.append(DRILLS[line.name](Path(folder)))
        except NotHereError as error:
            line.not_here = str(error)
        except Exception as error:  # noqa: BLE001 - one that breaks is a line of the table, and leaves the others
            line.broken.append(f"did not end: {error!r}"[:200])
        finally:
            stop_all()


def table(lines: Sequence[Line], minutes: float) -> str:
    """The lines in Markdown, with when and on what they were measured."""
    head = ["drill", "tries", "survived", "counted", "lost", "measured"]
    rows = [head, ["---"] * len(head), *(line.cells() for line in lines)]
    when = f"{datetime.now(UTC):%Y-%m-%d}, {minutes:g} minutes, {platform.system()} {platform.machine()}"
    return f"Measured on {when}.\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long; each drill runs at least once")
    parser.add_argument("--only", default="", help="drills whose name holds this")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    asked = parser.parse_args()
    found = table(run(asked.minutes, [name for name in DRILLS if asked.only in name]), asked.minutes)
    print(found)
    if asked.write:
        text = PAGE.read_text()
        before, after = text[: text.index(_BEGIN)], text[text.index(_END) :]
        PAGE.write_text(f"{before}{_BEGIN}\n{found}{after}")


if __name__ == "__main__":
    main()
