"""The benchmark's page: one table, its picture, and the slices, from the rows that were measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parking.data.imagery import encode_png
from parking.learning.benchmark import Row, score_slices
from parking.learning.evaluate import Scores
from parking.learning.plots import drawings, figure_png, rank

COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "pr_auc": "PR-AUC",
    "f1_50": "F1 at 0.5",
    "f1_25": "F1 at 0.25",
    "count_mae": "count MAE",
    "count_rmse": "count RMSE",
    "count_bias": "count bias",
    "ece": "ECE",
    "place_ece": "place ECE",
}
"""Scores by their titles, in the order of the table."""


def as_json(rows: Sequence[Row], speeds: dict[str, float]) -> str:
    """The rows for a machine to read."""
    return json.dumps([_numbers(row, speeds) for row in rows], indent=1)


def _numbers(row: Row, speeds: dict[str, float]) -> dict[str, Any]:
    return {
        "name": row.entry.name,
        "what": row.entry.what,
        "recipe": row.entry.recipe.model_dump(),
        "folds": len(row.validated.parts),
        "megapixels_per_second": speeds.get(row.entry.name),
        "mean": {name: round(row.mean(name), 4) for name in COLUMNS},
        "sd": {name: round(row.spread(name), 4) for name in COLUMNS},
        "fold_scores": [scores.model_dump() for scores in row.validated.fold_scores],
    }


def write_page(rows: Sequence[Row], speeds: dict[str, float], command: str, folder: Path) -> None:
    """Write recipes.md, its pictures, and recipes.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in pictures(rows).items():
        (folder / name).write_bytes(png)
    (folder / "recipes.json").write_text(as_json(rows, speeds) + "\n", encoding="utf-8")
    (folder / "recipes.md").write_text(markdown(rows, speeds, command), encoding="utf-8")


def markdown(rows: Sequence[Row], speeds: dict[str, float], command: str) -> str:
    """The page `recipes.md`, complete but for its pictures."""
    best = _best(rows)
    whole, short = [row for row in rows if not row.is_short], [row for row in rows if row.is_short]
    scenes, folds = len(best.validated.predictions), len(best.validated.parts)
    return "\n".join(
        [
            "# What recipes are worth",
            "",
            f"Made by `{command}`: {folds} folds over {scenes} scenes; mean ± standard deviation over the folds. Each "
            "fold is scored with the threshold, the cuts of free shapes and the calibration that the *other* folds "
            "teach; no validation scene chose when a training stopped. The usual size of a place, one number, is of "
            "all scenes, and so is the threshold at which shapes are found to learn the cuts on. Which cues those cuts "
            "are chosen by was decided on these very folds, what they weigh never. What was annotated as one outline "
            "counts as one, also where it is a row. Megapixels per second are those of two threads of whatever machine "
            "made this page, and whatever else it did meanwhile: compare rows, not machines.",
            "",
            *_table(whole or short, speeds),
            "",
            "![The rows as a picture](recipes.png)",
            "",
            *_explained(whole or short),
            "",
            *(_ideas(short, speeds) if whole and short else []),
            f"## Where `{best.entry.name}` is good and where not",
            "",
            *_slice_table(score_slices(best)),
            "",
            "Each drawing is a scene without its pixels, which are not ours to publish: the probability of free "
            "parking in grey, what was annotated in green, what was found in orange, all out of fold.",
            "",
            "![Best scenes](recipes-best.png)",
            "",
            "![Worst scenes](recipes-worst.png)",
            "",
        ]
    )


def _ideas(short: Sequence[Row], speeds: dict[str, float]) -> list[str]:
    folds = len(short[0].validated.parts)
    return [
        "## What single ideas are worth",
        "",
        f"Trainings of minutes on two cores, on {folds} of the folds: each row has one idea more than the one above. "
        "They compare with each other, not with the rows above, which were trained many times longer.",
        "",
        *_table(short, speeds),
        "",
        *_explained(short),
        "",
    ]


def _best(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: (not row.is_short, row.mean("iou")))


def _explained(rows: Sequence[Row]) -> list[str]:
    return [f"- **{row.entry.name}**: {row.entry.what}; {_training(row)}." for row in rows]


def _training(row: Row) -> str:
    recipe = row.entry.recipe
    before = f" after {recipe.pretrain_steps} on generated scenes" if recipe.pretrain_steps else ""
    return f"{recipe.steps} steps of {recipe.batch} crops of {recipe.crop} pixels{before}"


def _table(rows: Sequence[Row], speeds: dict[str, float]) -> list[str]:
    titles = ["recipe", *COLUMNS.values(), "megapixels/s"]
    lines = [f"| {' | '.join(titles)} |", f"| --- |{' ---: |' * (len(titles) - 1)}"]
    for row in rows:
        cells = [f"{row.mean(name):.3f} ± {row.spread(name):.3f}" for name in COLUMNS]
        speed = speeds.get(row.entry.name)
        lines.append(f"| {' | '.join([row.entry.name, *cells, f'{speed:.2f}' if speed else ''])} |")
    return lines


def _slice_table(slices: dict[str, Scores]) -> list[str]:
    names = ("iou", "precision", "recall", "f1_50", "count_mae", "count_bias")
    lines = [
        f"| slice | scenes | {' | '.join(COLUMNS[name] for name in names)} |",
        f"| --- |{' ---: |' * (len(names) + 1)}",
    ]
    for title, scores in slices.items():
        cells = [f"{getattr(scores, name):.3f}" for name in names]
        lines.append(f"| {title} | {scores.scenes} | {' | '.join(cells)} |")
    return lines


def pictures(rows: Sequence[Row]) -> dict[str, bytes]:
    """PNG by file name: the table as bars, and the best and worst scenes of the best row."""
    best = _best(rows)
    threshold = best.validated.contract.threshold
    scenes = [prediction for _, prediction in rank(best.validated.predictions, threshold)]
    return {
        "recipes.png": _bars(rows),
        "recipes-best.png": encode_png(drawings(scenes[:6], threshold)),
        "recipes-worst.png": encode_png(drawings(scenes[::-1][:6], threshold)),
    }


def _bars(rows: Sequence[Row]) -> bytes:
    figure = Figure(figsize=(8, 0.6 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    colours = ["#a9cfc0" if row.is_short else "#2a7f62" for row in rows]
    for axis, name in zip(axes, ("iou", "f1_50"), strict=True):
        axis.barh(places, [row.mean(name) for row in rows], xerr=[row.spread(name) for row in rows], color=colours)
        axis.set(xlabel=COLUMNS[name], xlim=(0, 0.8))
        axis.set_yticks(places, [row.entry.name for row in rows])
    return figure_png(figure)
