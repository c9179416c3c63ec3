"""Report of a search as a page and a picture: trials, results, and the importance of settings."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from parking.learning.plots import figure_png
from parking.learning.space import LOGARITHMIC
from parking.learning.study import Final, FinishedTrial, Study

__all__ = ["PAGE", "PICTURE", "search_page", "search_picture"]

PAGE, PICTURE = "search.md", "search.png"
"""Names of the page, and of the picture beside it."""

_ROWS = 10
"""Best trials in the page's table."""


def search_page(study: Study, *, title: str, about: str) -> str:
    """The page, in Markdown, with `PICTURE` beside it.

    Args:
        study: with at least one complete trial.
        title: heading.
        about: what was searched and on what, a sentence.

    Raises:
        TrainingError: no trial was completed.
    """
    best_score = study.best_score
    tried = study.tried()
    states = [one.outcome for one in tried]
    best, start = max(tried, key=_rank), next((one for one in tried if one.is_start and one.complete), None)
    gain = f", {best_score - _iou(start):+.3f} against the settings it began with" if start else ""
    return "\n".join(
        [
            f"# {title}",
            "",
            f"{about} {len(tried)} trials of {study.steps} steps a fold: {states.count('complete')} complete, "
            f"{states.count('pruned')} stopped early because others were ahead, {states.count('failed')} failed. "
            f"Best: trial {best.number}, IoU {best_score:.3f}{gain}. "
            "± is the standard deviation over folds: what differs by less may be chance, and short trials favour what "
            "learns fast. A trial that was stopped is scored on the folds that ran; where that is one, at its own best "
            "threshold, which flatters it. What single settings do is shown, and weighed, by the first fold at its own "
            "best threshold, which all trials have alike.",
            "",
            f"![Scores by trial, and by the value of each setting]({PICTURE})",
            "",
            *_table(sorted(tried, key=_rank, reverse=True)[:_ROWS]),
            "",
            _weighed(study.importances()),
            "",
            *_finals(study.finals(), {one.number for one in tried if one.is_start}),
        ]
    )


def _rank(one: FinishedTrial) -> tuple[bool, float]:
    """Complete trials first: a mean over some of the folds cannot be compared."""
    return one.complete, _iou(one)


def _iou(one: FinishedTrial) -> float:
    """Its IoU; less than any where no fold ran."""
    return -1.0 if one.iou is None else one.iou


def _table(tried: Sequence[FinishedTrial]) -> list[str]:
    names = sorted({name for one in tried for name in one.params})
    lines = [f"| trial | IoU | folds | {' | '.join(names)} |", f"| ---: |{' ---: |' * (2 + len(names))}"]
    for one in tried:
        cells = [_short(one.params.get(name)) for name in names]
        lines.append(f"| {one.number} | {_score(one)} | {len(one.fold_ious)} | {' | '.join(cells)} |")
    return lines


def _finals(finals: Sequence[Final], starts: set[int]) -> list[str]:
    if not finals:
        return []
    return [
        "## Run again at full length",
        "",
        f"{finals[0].steps} steps a fold, on the same folds, best first.",
        "",
        "| trial | IoU | of each fold |",
        "| ---: | ---: | ---: |",
        *(_final_row(final, " (where the search began)" if final.number in starts else "") for final in finals),
        "",
    ]


def _final_row(final: Final, remark: str) -> str:
    ious = ", ".join(f"{iou:.3f}" for iou in final.fold_ious)
    return f"| {final.number}{remark} | {_score(final)} | {ious} |"


def _score(one: FinishedTrial | Final) -> str:
    if not one.fold_ious:
        return "failed"
    spread = f" ± {np.std(one.fold_ious, ddof=1):.3f}" if len(one.fold_ious) > 1 else ""
    return f"{one.iou:.3f}{spread}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _weighed(importances: dict[str, float]) -> str:
    if not importances:
        return "There are too few trials to say which settings mattered."
    shares = ", ".join(f"{name} {share:.0%}" for name, share in importances.items())
    return f"Share of the differences between the trials that each setting explains (fANOVA): {shares}."


def search_picture(study: Study) -> bytes:
    """Scores by trial, importances, and scores of the first fold by each setting's value, as PNG."""
    tried = [one for one in study.tried() if one.iou is not None]
    names = sorted({name for one in tried for name in one.params})
    columns = 4
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(11, 3.2 + 2.2 * rows), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.2, 2.2 * rows)).flat
    importances = study.importances()
    _draw_history(top.add_subplot(1, 2 if importances else 1, 1), tried)
    if importances:
        _draw_importances(top.add_subplot(1, 2, 2), importances)
    bottom.supylabel("IoU of the first fold", fontsize="medium")
    for axes, name in zip(bottom.subplots(rows, columns, sharey=True, squeeze=False).flat, names, strict=False):
        _draw_setting(axes, name, tried)
    return figure_png(figure)


def _draw_history(axes: Axes, tried: Sequence[FinishedTrial]) -> None:
    for complete, mark, label in ((True, "o", "complete"), (False, "x", "stopped early: some folds only")):
        points = [(one.number, one.iou) for one in tried if one.complete == complete]
        if points:
            axes.plot(*zip(*points, strict=True), mark, label=label)
    done = [one for one in tried if one.complete]
    best = accumulate(map(_iou, done), max)
    axes.step([one.number for one in done], list(best), where="post", label="best so far")
    axes.set(xlabel="trial", ylabel="IoU")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _draw_importances(axes: Axes, importances: dict[str, float]) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names])
    axes.set_xlabel("share of the differences it explains")


def _draw_setting(axes: Axes, name: str, tried: Sequence[FinishedTrial]) -> None:
    for complete, mark in ((True, "o"), (False, "x")):
        kind = [one for one in tried if one.complete == complete and one.first_iou is not None and name in one.params]
        points = [(one.params[name], one.first_iou) for one in kind]
        if points:
            axes.plot(*zip(*points, strict=True), mark, color="tab:blue" if complete else "tab:orange")
    if name in LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if name in LOGARITHMIC or any(isinstance(one.params.get(name), str) for one in tried):
        axes.tick_params(axis="x", rotation=30)
    axes.set_title(name, fontsize="medium")
