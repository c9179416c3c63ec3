"""Options that several commands share, worded once."""

from pathlib import Path
from typing import Annotated

import typer

State = Annotated[
    Path | None,
    typer.Option("--state", help="Folder that keeps everything: databases, models, logs. (default: .parking)"),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="Folder or s3://bucket/prefix of annotated images (docs/data.md has the forms), or 'generated'; may be "
        "given several times.",
    ),
]
Labels = Annotated[str, typer.Option("--labels", help="What your own labels mean: 'pkw=vehicle,bucht=stall'.")]
GroupBy = Annotated[
    str,
    typer.Option(
        "--group-by",
        help="Regular expression for the part of an image's path that names its place: such images stay together.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="Folder or s3://bucket/prefix of annotated images (docs/data.md has the forms), or 'generated'.",
    ),
]
Dataset = Annotated[str, typer.Option("--dataset", help="Version of a dataset snapshot, or 'latest'.")]
Folds = Annotated[int, typer.Option("--folds", min=2, max=20, help="Parts that the training scenes are cut into.")]
Trials = Annotated[int, typer.Option("--trials", min=0, max=500, help="Settings to try by cross-validation.")]
SomeTrials = Annotated[int, typer.Option("--trials", min=1, max=500, help="Settings to try by cross-validation.")]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes", min=0.01, help="Time for all of it; refused if too short. (default: what the steps take)"
    ),
]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="Settings to start from: 'default', 'demo', 'search', 'shipped', or a file.")
]
Model = Annotated[
    str,
    typer.Option("--model", help="A model file, a version number, or an alias such as 'production'."),
]
By = Annotated[str, typer.Option("--by", envvar="USER", help="Who asks, for the record.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
