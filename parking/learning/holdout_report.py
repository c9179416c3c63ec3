"""The page about a model file's quality: a table by kind of scene, and its best and worst scenes."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from parking.data.imagery import encode_png
from parking.learning.evaluate import Scores
from parking.learning.holdout import Holdout
from parking.learning.plots import drawing, rank
from parking.learning.training_scenes import KINDS, Kind

__all__ = ["holdout_json", "score_table", "write_holdout_page"]

ROWS = {
    "iou": ("IoU of free ground", "{:.2f}"),
    "precision": ("precision of free ground", "{:.2f}"),
    "recall": ("recall of free ground", "{:.2f}"),
    "pr_auc": ("average precision of free ground", "{:.2f}"),
    "f1_50": ("F1 of single places at IoU 0.5", "{:.2f}"),
    "f1_25": ("F1 of single places at IoU 0.25", "{:.2f}"),
    "count_bias": ("bias of the count", "{:+.1%}"),
    "count_mae": ("mean absolute error of a scene's count", "{:.1f}"),
    "interval_held": ("scenes whose count lies in the 80 % interval", "{:.0%}"),
    "interval_width": ("width of that interval in places", "{:.1f}"),
    "ece": ("calibration error of a pixel", "{:.3f}"),
    "place_ece": ("calibration error of a place's confidence", "{:.3f}"),
    "vehicle_f1_50": ("F1 of vehicles at IoU 0.5", "{:.2f}"),
    "bay_accuracy": ("accuracy of known bays", "{:.2f}"),
    "bay_ece": ("calibration error of known bays", "{:.3f}"),
    "gsd_error": ("median error of the estimated resolution", "{:.0%}"),
}
"""Scores by their titles and how they are written, in the order of the table."""

_OF_VEHICLES = {"vehicle_f1_50", "gsd_error"}
"""What scenes without annotated places can tell."""


def write_holdout_page(holdout: Holdout, command: str, folder: Path) -> None:
    """Write quality.md, its pictures, and quality.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in _pictures(holdout).items():
        (folder / name).write_bytes(png)
    (folder / "quality.json").write_text(holdout_json(holdout) + "\n", encoding="utf-8")
    (folder / "quality.md").write_text(holdout_markdown(holdout, command), encoding="utf-8")


def holdout_json(holdout: Holdout) -> str:
    """The scores for a machine to read."""
    return json.dumps({kind: _numbers(holdout, kind) for kind in holdout.kinds}, indent=1)


def holdout_markdown(holdout: Holdout, command: str) -> str:
    """The page, complete but for its pictures."""
    lines = [
        "# How well it finds free places",
        "",
        f"Made by `{command}`: the model file, read as it is served, on the scenes of that data from which its network "
        f"has not learnt. Each of {len(holdout.parts)} parts of these scenes is scored with the thresholds and "
        "calibrations that the other parts choose; no place is in two parts. What was annotated as one outline counts "
        "as one, also where it is a row of places. Where a scene has no annotated vehicles, the resolution that an "
        "estimate is compared with is itself guessed, by the size of its places.",
        "",
        *_table(holdout),
        "",
        *(
            f"- Bias of the count in each part of the {KINDS[kind]}: {_joined(holdout.biases(kind))}."
            for kind in holdout.kinds
            if kind != "vehicles"
        ),
        "",
        "Each drawing is a scene without its pixels, which are not ours to publish: the probability of free parking in "
        "grey, annotated places in green, places that were found in orange.",
    ]
    for kind in _drawn(holdout):
        title = KINDS[kind].capitalize()
        lines += ["", f"## {title}", "", f"![Best](quality-{kind}-best.png)", "", f"![Worst](quality-{kind}-worst.png)"]
    return "\n".join([*lines, ""])


def _table(holdout: Holdout) -> list[str]:
    titles, *lines = score_table(holdout)
    head = [f"| {' | '.join(titles)} |", f"| --- |{' ---: |' * (len(titles) - 1)}"]
    return [*head, *(f"| {' | '.join(line)} |" for line in lines)]


def score_table(holdout: Holdout) -> list[list[str]]:
    """The titles, and a line for each score with a cell for each kind of scenes; empty where it cannot be told."""
    kinds = holdout.kinds
    scores = {kind: holdout.scores(kind) for kind in kinds}
    lines = [["score", *(KINDS[kind] for kind in kinds)], ["scenes, places", *(_size(holdout, kind) for kind in kinds)]]
    for name, (title, form) in ROWS.items():
        cells = [_cell(scores[kind], kind, name, form) for kind in kinds]
        if any(cells):
            lines.append([title, *cells])
    return lines


def _size(holdout: Holdout, kind: Kind) -> str:
    scenes = sum(prediction.kind == kind for prediction in holdout.predictions)
    return f"{scenes}, {holdout.places(kind)}" if kind != "vehicles" else str(scenes)


def _cell(scores: Scores, kind: Kind, name: str, form: str) -> str:
    value = getattr(scores, name)
    if value is None or (kind == "vehicles" and name not in _OF_VEHICLES):
        return ""
    return form.format(value)


def _numbers(holdout: Holdout, kind: Kind) -> dict[str, Any]:
    return {
        "places": holdout.places(kind),
        "count_bias_of_parts": [round(bias, 4) for bias in holdout.biases(kind)],
        "scores": {name: value for name, value in holdout.scores(kind).model_dump().items() if value is not None},
    }


def _joined(biases: tuple[float, ...]) -> str:
    return " and ".join(f"{bias:+.0%}" for bias in biases)


def _drawn(holdout: Holdout) -> list[Kind]:
    return [kind for kind in holdout.kinds if kind != "vehicles" and holdout.places(kind)]


def _pictures(holdout: Holdout) -> dict[str, bytes]:
    """PNG by file name: the best and worst scenes of each kind, each with the rules of its part."""
    pictures = {}
    for kind in _drawn(holdout):
        ranked = [
            (iou, prediction, contract)
            for part, contract in holdout.parts
            for iou, prediction in rank([p for p in part if p.kind == kind], contract.threshold)
        ]
        ranked.sort(key=lambda one: -one[0])
        for name, chosen in (("best", ranked[:3]), ("worst", ranked[::-1][:3])):
            cells = [drawing(prediction, contract) for _, prediction, contract in chosen]
            pictures[f"quality-{kind}-{name}.png"] = encode_png(np.hstack(cells))
    return pictures
