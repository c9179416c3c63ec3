"""What a person sees: tables, progress bars on a terminal, and plain lines where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from parking.progress import listening

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

PLAIN_SECONDS = 10.0
"""Without a terminal, a line of progress is printed at most this often."""


def show_error(error: Exception | str) -> None:
    """Print what went wrong, word for word: file names and MLflow's answers hold what Rich takes for markup."""
    errors.print(Text.assemble(("Error:", "red"), " ", str(error)), soft_wrap=True)


@contextmanager
def progress_shown(*, silent: bool = False) -> Iterator[None]:
    """Show what the block reports: a bar for each piece of work, gone when the block ends; nothing, if `silent`."""
    if silent:
        yield
        return
    if not console.is_terminal:
        with listening(PlainLines()):
            yield
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars, listening(Bars(bars)):
        yield


class Bars:
    """A bar for each piece of work; one that is full and starts again is another round of the same work.

    What follows a comma in `what` is a detail, such as the loss: it changes, and the bar stays.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        """Draw how far `what` is."""
        work = what.partition(",")[0]
        if work not in self._tasks:
            self._tasks[work] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[work], description=what, completed=done, total=total, visible=done < total)


class PlainLines:
    """A line now and then, for logs and pipes."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Print how far `what` is, unless a line was printed just before."""
        if time.monotonic() - self._last < PLAIN_SECONDS:
            return
        self._last = time.monotonic()
        work, comma, detail = what.partition(",")
        console.print(f"  {work}: {done} of {total}{comma}{detail}", markup=False)


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the house's style."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    return made
