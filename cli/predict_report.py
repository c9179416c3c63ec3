"""What `parking predict` prints: lines for people, or JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from cli.console import console, show_error, table
from parking.errors import ParkingError
from parking.result import Result


class Report:
    """Tells of each image as it is answered, and of all together at the end."""

    def __init__(self, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self._json, self._quiet, self._verbose = as_json, quiet or as_json, verbose
        self._found: list[tuple[str, Result]] = []
        self.failures = 0

    def note(self, text: str) -> None:
        """Something that a person should know."""
        if not self._quiet:
            console.print(text, style="dim", markup=False, soft_wrap=True)

    def found(self, name: str, result: Result, files: Sequence[Path], seconds: float) -> None:
        """An image was answered.

        Args:
            name: its path as the person sees it.
            result: what was found.
            files: where it was written.
            seconds: how long it took.
        """
        self._found.append((name, result))
        if self._json:
            _json_line(
                image=name, seconds=round(seconds, 2), files=[str(file) for file in files], places=result.to_geojson()
            )
            return
        low, high = result.count_interval
        places = "free place" if result.count == 1 else "free places"
        self._say(
            f"{name}: {result.count} {places} (80 % interval {low} to {high}), "
            f"imagery of {result.imagery_date or 'unknown date'}"
        )
        if self._verbose:
            self._say(f"  {result.gsd:.3g} m a pixel ({result.detection.gsd_source}), {seconds:.1f} s")
            self._say(f"  model {result.model_version}, threshold {result.detection.threshold:g}")
            for file in files:
                self._say(f"  {file}")

    def failed(self, name: str, error: ParkingError) -> None:
        """An image could not be answered."""
        self.failures += 1
        if self._json:
            _json_line(image=name, error=str(error))
        show_error(str(error) if name in str(error) else f"{name}: {error}")

    def summary(self) -> None:
        """All images in a table, where there is more than one."""
        if self._quiet or len(self._found) + self.failures < 2:
            return
        rows = table("image", "free places", "80 % interval", "m a pixel", "imagery")
        rows.columns[0].overflow = "fold"  # a path that is cut short cannot be opened
        for name, result in self._found:
            low, high = result.count_interval
            resolution = f"{result.gsd:.3g} ({result.detection.gsd_source})"
            rows.add_row(
                _plain(name), str(result.count), f"{low} to {high}", resolution, str(result.imagery_date or "unknown")
            )
        console.print()
        console.print(rows)
        total = sum(result.count for _, result in self._found)
        self._say(f"{total} free places in {len(self._found)} images; {self.failures} could not be answered.")

    def _say(self, line: str) -> None:
        if not self._quiet:
            console.print(line, markup=False, soft_wrap=True)


def _plain(name: str) -> str:
    """A name as it is: Rich takes brackets in a cell for markup."""
    from rich.markup import escape

    return escape(name)


def _json_line(**members: object) -> None:
    print(json.dumps(members), flush=True)  # noqa: T201 - Rich would fold it
