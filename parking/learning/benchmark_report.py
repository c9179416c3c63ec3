"""The benchmark's page: a table, its picture, and how sure each difference is, from the rows that were measured."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parking.learning.benchmark import Row, iou_difference
from parking.learning.gate import Verdict
from parking.learning.plots import figure_png
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.training_scenes import KINDS, Kind

__all__ = ["as_json", "score_table", "write_page"]

COLUMNS: tuple[tuple[Kind, str, str, str], ...] = (
    ("streets", "iou", "streets: IoU", "{:.3f}"),
    ("streets", "f1_50", "streets: F1 at 0.5", "{:.3f}"),
    ("streets", "count_bias", "streets: count bias", "{:+.0%}"),
    ("bays", "iou", "car parks: IoU", "{:.3f}"),
    ("bays", "f1_50", "car parks: F1 at 0.5", "{:.3f}"),
    ("bays", "count_bias", "car parks: count bias", "{:+.0%}"),
    ("bays", "vehicle_f1_50", "car parks: F1 of vehicles", "{:.3f}"),
    ("bays", "bay_accuracy", "accuracy of known bays", "{:.3f}"),
    ("vehicles", "vehicle_f1_50", "other scenes: F1 of vehicles", "{:.3f}"),
    ("bays", "gsd_error", "error of the resolution", "{:.0%}"),
)
"""Of which scenes, which score, its title and how it is written, in the order of the table."""

_JUDGED: tuple[Kind, ...] = ("streets", "bays")
"""Kinds of scenes that say where free places are."""


def as_json(rows: Sequence[Row], speeds: Mapping[str, float]) -> str:
    """The rows for a machine to read."""
    known = {row.entry.name: row for row in rows}
    return json.dumps([_numbers(row, known, speeds) for row in rows], indent=1)


def _numbers(row: Row, known: Mapping[str, Row], speeds: Mapping[str, float]) -> dict[str, Any]:
    compared = {kind: iou_difference(row, known, kind) for kind in _JUDGED}
    return {
        "name": row.entry.name,
        "what": row.entry.what,
        "recipe": row.entry.recipe.model_dump(),
        "teaching": row.entry.teaching,
        "most_streets": row.entry.most_streets,
        "folds": len(row.validated.parts),
        "megapixels_per_second": speeds.get(row.entry.name),
        "scores": {kind: scores.model_dump(exclude_none=True) for kind, scores in row.scores.items()},
        "against": row.entry.against,
        "iou_differences": {
            kind: [round(number, 4) for number in (found.delta, found.low, found.high)]
            for kind, found in compared.items()
            if found
        },
    }


def write_page(rows: Sequence[Row], speeds: Mapping[str, float], command: str, folder: Path) -> None:
    """Write recipes.md, its picture, and recipes.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipes.png").write_bytes(_bars(rows))
    (folder / "recipes.json").write_text(as_json(rows, speeds) + "\n", encoding="utf-8")
    (folder / "recipes.md").write_text(markdown(rows, speeds, command), encoding="utf-8")


def markdown(rows: Sequence[Row], speeds: Mapping[str, float], command: str) -> str:
    """The page `recipes.md`, complete but for its picture."""
    recipe, first = rows[0].entry.recipe, rows[0]
    sizes = [
        f"{sum(p.kind == kind for p in first.validated.predictions)} {KINDS[kind]}" for kind in first.holdout.kinds
    ]
    return "\n".join(
        [
            "# What single ideas are worth",
            "",
            f"Made by `{command}`. Each row is a training of {recipe.steps} steps of {recipe.batch} crops of "
            f"{recipe.crop} pixels from ImageNet's weights, minutes on one core: rows compare with each other, and not "
            "with [the shipped model](quality.md), which was trained for hours. Every row has the same folds, grouped "
            f"by place; {len(first.validated.parts)} of them were trained and scored (scenes: {', '.join(sizes)}). "
            "Thresholds and calibrations are those that the other folds choose. The megapixels a second are of an "
            "image with 0.1 m a pixel, on two threads of the machine that made this page: compare rows, not machines.",
            "",
            *_table(rows, speeds),
            "",
            "![The rows as a picture](recipes.png)",
            "",
            *(f"- **{row.entry.name}**: {row.entry.what}." for row in rows),
            "",
            "## How sure the differences are",
            "",
            "Difference in IoU, with a 95 % interval: scenes are drawn again with replacement, the same ones for both "
            "rows (paired bootstrap). The interval knows nothing of the chance in a training itself.",
            "",
            *_differences(rows),
            "",
        ]
    )


def _by_kind(row: Row) -> dict[Kind, list[ScenePrediction]]:
    predictions = row.validated.predictions
    return {kind: [one for one in predictions if one.kind == kind] for kind in row.holdout.kinds}


def score_table(rows: Sequence[Row], speeds: Mapping[str, float]) -> list[list[str]]:
    """The titles, and a line of cells for each row; empty where a score cannot be told."""
    lines = [["recipe", *(title for _, _, title, _ in COLUMNS), "megapixels/s"]]
    for row in rows:
        cells = []
        for kind, name, _, form in COLUMNS:
            value = getattr(row.scores[kind], name) if kind in row.scores else None
            cells.append("" if value is None else form.format(value))
        lines.append([row.entry.name, *cells, f"{speeds[row.entry.name]:.2f}" if row.entry.name in speeds else ""])
    return lines


def _table(rows: Sequence[Row], speeds: Mapping[str, float]) -> list[str]:
    titles, *lines = score_table(rows, speeds)
    head = [f"| {' | '.join(titles)} |", f"| --- |{' ---: |' * (len(titles) - 1)}"]
    return [*head, *(f"| {' | '.join(line)} |" for line in lines)]


def _differences(rows: Sequence[Row]) -> list[str]:
    known = {row.entry.name: row for row in rows}
    lines = ["| recipe | against | streets | car parks |", "| --- | --- | ---: | ---: |"]
    for row in rows:
        cells = [_difference(iou_difference(row, known, kind)) for kind in _JUDGED]
        if any(cells):
            lines.append(f"| {row.entry.name} | {row.entry.against} | {' | '.join(cells)} |")
    return lines


def _difference(found: Verdict | None) -> str:
    return f"{found.delta:+.3f} ({found.low:+.3f} to {found.high:+.3f})" if found else ""


def _bars(rows: Sequence[Row]) -> bytes:
    figure = Figure(figsize=(9, 0.45 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    for axis, kind in zip(axes, _JUDGED, strict=True):
        for shift, name, title, colour in ((0.2, "iou", "IoU", "#2a7f62"), (-0.2, "f1_50", "F1 at 0.5", "#8fb8de")):
            widths = [getattr(row.scores[kind], name) if kind in row.scores else 0.0 for row in rows]
            axis.barh(places + shift, widths, 0.38, color=colour, label=title)
        axis.set(title=KINDS[kind], xlim=(0, 1))
        axis.set_yticks(places, [row.entry.name for row in rows])
    axes[1].legend(loc="lower right")
    return figure_png(figure)
