"""`parking benchmark …`: numbers that anyone can measure again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options, session
from cli.console import console, progress_shown, table
from cli.flow_command import GO_ON
from cli.stopping import stops_soon

if TYPE_CHECKING:
    from parking.learning.benchmark import Row
    from parking.learning.holdout import Holdout

FOLDS, MOST_FOLDS = 5, 2
"""Of the published table: how many there are, and how many of them are trained."""

app = typer.Typer(help="Measure quality and speed.", no_args_is_help=True)
Work = Annotated[Path, typer.Option("--work", help="Folder for checkpoints: a run that was stopped goes on from it.")]


@app.command()
def quality(
    data: options.Sources,
    model: Annotated[
        str, typer.Option("--model", help="A model file, version number or alias. (default: the shipped model)")
    ] = "",
    labels: options.Labels = "",
    group_by: options.GroupBy = "",
    work: Work = Path("parking-benchmark"),
    out: Annotated[Path | None, typer.Option(help="Folder for quality.md and its pictures.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the scores for a machine to read.")] = False,
    state: options.State = None,
) -> None:
    """Score a model file on the scenes that its network has not learnt from, each kind of scene apart.

    Example: [bold]parking benchmark quality --data streets/ --data car-parks/ --out docs[/bold]
    """
    settings = session.start(state)
    from parking.learning.holdout import held_out, judge_file
    from parking.learning.holdout_report import holdout_json, write_holdout_page
    from parking.learning.recipe import Recipe
    from parking.learning.train_file import read_scenes
    from parking.lock import alone_in
    from parking.model import load_model
    from parking.progress import report
    from parking.shipped import shipped_model

    sources = data or []
    detector = load_model(model or shipped_model(), settings).detector
    with stops_soon(f"The images are kept in {work}. {GO_ON}"), alone_in(work), progress_shown():
        read_at = Recipe(gsd=detector.contract.gsd)
        _, samples = read_scenes(sources, read_at, work, report, labels=labels, group_by=group_by)
        judged = judge_file(detector, held_out(detector.contract, samples), report)
    if json:
        typer.echo(holdout_json(judged))
    else:
        show_holdout(judged)
    if out is not None:
        given = [
            *(f"--data DATA{number}" for number, _ in enumerate(sources, 1)),
            *([f"--model {model}"] if model else []),
        ]
        write_holdout_page(judged, f"parking benchmark quality {' '.join(given)} --out docs", out)


@app.command()
def recipes(
    data: options.Sources,
    rows: Annotated[str, typer.Option(help="Rows to measure, with commas between. (default: all)")] = "",
    folds: options.Folds = FOLDS,
    most_folds: Annotated[
        int, typer.Option("--most-folds", min=2, help="Of the folds, how many are trained and scored.")
    ] = MOST_FOLDS,
    work: Work = Path("parking-benchmark"),
    out: Annotated[Path | None, typer.Option(help="Folder for recipes.md and its picture.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows for a machine to read.")] = False,
    state: options.State = None,
) -> None:
    """Train and score recipes on the same folds: what each idea is worth, and what it costs to serve.

    Example: [bold]parking benchmark recipes --data streets/ --data car-parks/ --rows cores,scale --out docs[/bold]
    """
    session.start(state)
    from parking.learning.benchmark import choose_entries, run_entry
    from parking.learning.benchmark_report import as_json, write_page
    from parking.learning.timing import serving_speed
    from parking.learning.train_file import read_scenes
    from parking.lock import alone_in
    from parking.progress import report

    entries, sources = choose_entries(rows), data or []
    kept = f"What was trained is kept in {work}, up to the last checkpoint. {GO_ON}"
    with stops_soon(kept), alone_in(work), progress_shown():
        read_at = {entry.recipe.gsd: entry.recipe for entry in entries}
        samples = {gsd: read_scenes(sources, recipe, work, report)[1] for gsd, recipe in read_at.items()}
        measured = [
            run_entry(entry, samples[entry.recipe.gsd], folds, work, report, most_folds=most_folds) for entry in entries
        ]
        speeds = {row.entry.name: serving_speed(row.entry.recipe) for row in measured}
    if json:
        typer.echo(as_json(measured, speeds))
    else:
        show_rows(measured, speeds)
    if out is not None:
        given = [f"--data DATA{number}" for number, _ in enumerate(sources, 1)]
        given += [f"--rows {rows}"] if rows else []
        given += [f"--folds {folds}"] if folds != FOLDS else []
        given += [f"--most-folds {most_folds}"] if most_folds != MOST_FOLDS else []
        write_page(measured, speeds, f"parking benchmark recipes {' '.join(given)} --out docs", out)


def show_rows(rows: list["Row"], speeds: dict[str, float]) -> None:
    """Print a column for each row of the benchmark: there are more scores than fit beside each other."""
    from parking.learning.benchmark_report import score_table

    titles, *lines = zip(*score_table(rows, speeds), strict=True)
    listed = table(*titles)
    for line in lines:
        listed.add_row(*line)
    console.print(listed)


def show_holdout(holdout: "Holdout") -> None:
    """Print a column for each kind of scenes."""
    from parking.learning.holdout_report import score_table

    titles, *lines = score_table(holdout)
    listed = table(*titles)
    for line in lines:
        listed.add_row(*line)
    console.print(listed)
