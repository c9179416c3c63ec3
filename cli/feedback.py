"""`parking feedback …`: corrections of answers, exported for annotators."""

from pathlib import Path
from typing import Annotated

import typer

from cli import options, session
from cli.console import console
from parking.workspace import open_workspace

app = typer.Typer(help="Corrections that people gave.", no_args_is_help=True)


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(help="Where the tasks, their images and README.md go; made where there is none.")
    ],
    lowest: Annotated[
        int, typer.Option(min=0, help="Answers without a correction to add, those of the lowest confidence first.")
    ] = 20,
    state: options.State = None,
) -> None:
    """Write corrected and uncertain answers as Label Studio tasks, their places as pre-annotations to mend.

    It needs images, so PARKING_KEEP_IMAGES. FOLDER/README.md says what to do in Label Studio.

    Example: [bold]parking feedback export to-annotate --lowest 50[/bold]
    """
    session.start(state)
    from monitoring.label_studio_export import write_tasks

    written = write_tasks(open_workspace().store, folder, lowest=lowest)
    told = f"{written.corrected} corrected and {written.uncertain} uncertain answers are in {folder}: see README.md."
    if written.imageless:
        told += f" {written.imageless} more have no image: PARKING_KEEP_IMAGES was off."
    console.print(told, markup=False, soft_wrap=True)
