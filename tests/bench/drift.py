"""Whether the detector of drift is right: calm nights it must pass, and shifts it must catch and name.

uv run python tests/bench/drift.py [--json]

Every row is a generated scene, answered by the shipped model: none of it is a real image.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if __name__ == "__main__":  # Run as a file, this folder comes first on the path; the project should.
    sys.path[0] = str(Path(__file__).parents[2])

from monitoring.drift import Comparison, Finding
from monitoring.schema import LogRow, make_row, rows_to_table, table_from_parquet, table_to_parquet
from parking.data.domain_shift import apply_shift
from parking.data.imagery import Raster
from parking.data.synthetic.scene import generate_scene
from parking.data.synthetic.style import Style
from parking.detection.detector import Detector
from parking.shipped import shipped_model

Pixels = NDArray[np.uint8]
SIDE = 320
"""Of a scene, in pixels; one tile of the model."""


@dataclass(frozen=True)
class Shift:
    """A way in which the world changes."""

    name: str
    telling: frozenset[str]
    """Columns that a person who knows of the shift would name; one of them must be among the first three."""
    scene: Callable[[int], Pixels]
    """The changed picture of a seed."""


def drawn(seed: int) -> Pixels:
    """A scene as it is."""
    return generate_scene(seed, SIDE).raster.pixels


def restyled(change: Callable[[Style], Style]) -> Callable[[int], Pixels]:
    """Scenes drawn anew in another style."""

    def draw(seed: int) -> Pixels:
        return generate_scene(seed, SIDE, style=change(generate_scene(seed, SIDE).style)).raster.pixels

    return draw


def other_sensor(seed: int) -> Pixels:
    """The same ground by a sensor of other colours: its channels leak into each other, and blue is strong."""
    leak = np.array([[0.72, 0.24, 0.04], [0.18, 0.70, 0.12], [0.06, 0.22, 0.88]], np.float32)
    return np.clip(cv2.transform(drawn(seed).astype(np.float32), leak), 0, 255).astype(np.uint8)


SHIFTS = (
    Shift("haze", frozenset({"haze", "contrast", "luminance_spread"}), lambda s: apply_shift(drawn(s), "haze", s)),
    Shift("night", frozenset({"luminance", "noise"}), lambda s: apply_shift(drawn(s), "night", s)),
    # Snow hides the green, and takes the colour out of everything.
    Shift(
        "another season (snow)", frozenset({"greenness", "saturation"}), lambda s: apply_shift(drawn(s), "season", s)
    ),
    Shift(
        "half the GSD",
        frozenset({"sharpness", "edge_density", "white_line_share"}),
        restyled(lambda style: replace(style, gsd=style.gsd / 2)),
    ),
    Shift("another sensor's colours", frozenset({"saturation", "hue_spread"}), other_sensor),
    Shift("all car parks full", frozenset({"count", "free_share"}), restyled(lambda style: replace(style, free=0.0))),
)


def rows_of(scenes: Iterator[tuple[int, Pixels]], detector: Detector) -> Iterator[LogRow]:
    """What the service would log of these pictures."""
    for seed, pixels in scenes:
        found = detector.detect(Raster(pixels, name=str(seed)))
        yield make_row(
            pixels, found.probability, found.spots, request_id=str(seed), model_version="1",
            gsd=found.gsd, gsd_source=found.gsd_source, latency_ms=0.0, embedding=found.embedding,
        )  # fmt: skip


def model() -> Detector:
    """The shipped model with a tile as large as the scenes: the same answers, without the work on its padding."""
    loaded = Detector.load(shipped_model(), threads=os.cpu_count() or 1)
    return Detector(loaded._model, loaded.contract.model_copy(update={"tile": SIDE}), loaded.sha256)


@dataclass(frozen=True)
class Rows:
    """Rows by what happened to the world; kept in a folder, for to answer them takes minutes."""

    folder: Path

    def get(self, name: str, scene: Callable[[int], Pixels], seeds: range) -> pa.Table:
        """A row for each seed."""
        file = self.folder / f"{name.replace(' ', '-')}-{seeds.start}-{seeds.stop}.parquet"
        if not file.exists():
            print(f"answering {len(seeds)} scenes: {name}", file=sys.stderr)
            rows = list(rows_of(((seed, scene(seed)) for seed in seeds), model()))
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(table_to_parquet(rows_to_table(rows)))
        return table_from_parquet(file.read_bytes())


def look(reference: pa.Table, current: pa.Table) -> Finding:
    """The verdict with the settings that ship."""
    batch = Comparison(reference)
    batch.add(current)
    return batch.finding(min_rows=12, threshold=0.5, share=0.4)


def calm_nights(pool: pa.Table, nights: int, rows: int, trained: int, seed: int = 0) -> Iterator[Finding]:
    """Nights without drift: training scenes and requests drawn anew from one kind of scene, none in both."""
    rng = np.random.default_rng(seed)
    for _ in range(nights):
        drawn = rng.permutation(pool.num_rows)
        yield look(pool.take(drawn[:trained]), pool.take(drawn[trained : trained + rows]))


def alarms(findings: Sequence[Finding]) -> float:
    """Share of verdicts that would wake a person: anything but `ok`."""
    return sum(finding.verdict != "ok" for finding in findings) / len(findings)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the table")
    parser.add_argument("--rows", type=int, default=300, help="requests a night")
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--trained", type=int, default=120, help="scenes in training")
    parser.add_argument("--keep", type=Path, help="folder that keeps the answered rows for the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = Rows(options.keep or Path(scratch))
        pool = rows.get("calm", drawn, range(2 * options.trained + options.rows))
        calm = list(calm_nights(pool, options.nights, options.rows, options.trained))
        few = list(calm_nights(pool, options.nights, 30, options.trained, seed=1))
        trained = pool.slice(0, options.trained)
        seeds = range(10_000, 10_000 + options.rows)
        found = [(shift, look(trained, rows.get(shift.name, shift.scene, seeds))) for shift in SHIFTS]
    told = [tell(shift, finding) for shift, finding in found]
    if options.json:
        numbers = {"false_alarm_rate": alarms(calm), "false_alarm_rate_30_rows": alarms(few), "nights": options.nights}
        caught = sum(bool(entry["caught"]) for entry in told)
        print(json.dumps({**numbers, "rows": options.rows, "shifts": told, "caught": caught}))
    else:
        print_table(options, alarms(calm), alarms(few), told)


def tell(shift: Shift, finding: Finding) -> dict[str, object]:
    """What came of a shift."""
    first = [column.name for column in finding.columns[:3]]
    caught = finding.verdict in ("warning", "drift") and bool(shift.telling & set(first))
    excess = [round(column.excess, 1) for column in finding.columns[:3]]
    return {"shift": shift.name, "verdict": finding.verdict, "first": first, "excess": excess, "caught": caught}


def print_table(options: argparse.Namespace, calm: float, few: float, told: list[dict[str, object]]) -> None:
    """As Markdown, for docs/monitoring.md."""
    print(f"| {options.rows} requests of | verdict | moved most (times its limit) | caught, and named |")
    print("| --- | --- | --- | --- |")
    print(f"| the same kind, {options.nights} nights | {calm:.1%} alarms | | |")
    print(f"| the same kind, {options.nights} nights of 30 requests | {few:.1%} alarms | | |")
    for entry in told:
        first, excess = entry["first"], entry["excess"]
        assert isinstance(first, list)
        assert isinstance(excess, list)
        moved = ", ".join(f"{name} ({times:g})" for name, times in zip(first, excess, strict=True))
        print(f"| {entry['shift']} | {entry['verdict']} | {moved} | {'yes' if entry['caught'] else 'no'} |")


if __name__ == "__main__":
    main()
