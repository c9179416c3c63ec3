"""Commands about whole cities: survey them, compare two surveys."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from typer.core import TyperGroup

from cli import options, session
from cli.console import PlainLines, console
from parking.errors import SurveyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parking.survey.grid import Bounds
    from parking.survey.request import Progress


class _RunsByDefault(TyperGroup):
    """`parking survey SOURCE…` is `parking survey run SOURCE…`: what is no command's name is imagery."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # its base's
        """Put the command in front where none is named."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunsByDefault, help="Survey a whole city, block by block; compare two surveys.", no_args_is_help=True
)


@app.command()
def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Rasters, folders, s3://bucket/prefix, STAC (.json), wms:https://…?layers=…, wmts:…, https://…/{z}/{x}/{y}.png."
        ),
    ],
    out: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix for the result.")],
    area: Annotated[str, typer.Option(help="Layer of polygons to stay within, as FILE or FILE#LAYER.")] = "",
    bbox: Annotated[str, typer.Option(help="West,south,east,north in degrees, instead of --area.")] = "",
    districts: Annotated[str, typer.Option(help="Layer of polygons to sum up by.")] = "",
    district_name: Annotated[str, typer.Option(help="Column with the districts' names.")] = "",
    bays: Annotated[str, typer.Option(help="Layer of polygons, each a bay to be said free or occupied.")] = "",
    kerbs: Annotated[str, typer.Option(help="Layer of lines: districts tell places by the km of it, too.")] = "",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least probability. (default: the model's)")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of imagery that does not say, as EPSG:2154.")] = None,
    gsd: Annotated[
        float | None, typer.Option(min=0.01, max=5, help="Metres per pixel to ask servers for. (default: the model's)")
    ] = None,
    asset: Annotated[str, typer.Option(help="Asset of STAC items to read. (default: by its role)")] = "",
    attribution: Annotated[str, typer.Option(help="Whom to name for a server's imagery.")] = "",
    block: Annotated[int, typer.Option(min=256, max=16384, help="Pixels along a block's edge, about.")] = 4096,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    dask: Annotated[str, typer.Option(help="Scheduler to send blocks to, as tcp://host:8786.")] = "",
    model: options.Model = "",
    state: options.State = None,
) -> None:
    """Find the free places of a whole city; killed, it goes on where it stopped.

    Example: [bold]parking survey orthophotos/ --districts districts.gpkg --out survey[/bold]
    """
    settings = session.start(state)
    from parking.model import find_model
    from parking.survey.http import Access
    from parking.survey.request import SurveyRequest
    from parking.survey.run import run_survey

    request = SurveyRequest(
        sources=tuple(sources),
        out=out,
        area=area,
        bbox=parse_bbox(bbox),
        districts=districts,
        district_name=district_name,
        bays=bays,
        kerbs=kerbs,
        threshold=threshold,
        block=block,
        crs=crs,
        gsd=gsd,
        asset=asset,
        attribution=attribution,
    )
    file, _ = find_model(model, settings)
    with survey_progress() as progress:
        found = run_survey(
            request,
            file,
            runtime=settings.runtime,
            workers=workers,
            dask=dask,
            access=Access.of(settings),
            progress=progress,
        )
    if print_result(found, out):
        raise typer.Exit(1)


def print_result(found: dict[str, Any], out: str) -> bool:
    """Print what a survey found; returns whether blocks failed.

    Args:
        found: what `survey.json` says.
        out: folder of the survey.
    """
    low, high = found["places_interval"]
    lines = [
        f"{found['places']} free places (80 % interval {low} to {high}) on {found['km2']:,.5g} km²: {out}/report.html, "
        "and places.gpkg for QGIS."
    ]
    if bays := found["bays"]:
        states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in bays.items())
        lines.append(f"Known bays: {states} (bays.gpkg, bays.csv).")
    if failed := found["blocks"]["failed"]:
        lines.append(
            f"{len(failed)} of {found['blocks']['count']} blocks could not be computed, as of: {failed[0]['reason']}. "
            "Run the same command again: only these are tried."
        )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return bool(failed)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="Folder or s3:// prefix of the earlier survey.")],
    after: Annotated[str, typer.Argument(help="Folder or s3:// prefix of the later one.")],
    out: Annotated[Path, typer.Option(help="Folder for the result.")],
    state: options.State = None,
) -> None:
    """Say what came and what went between two surveys of one area, by district.

    Example: [bold]parking survey compare survey-2021 survey-2024 --out changes[/bold]
    """
    session.start(state)
    from parking.survey.compare import compare_surveys

    changes = compare_surveys(before, after, out)["changes"]
    told = ", ".join(f"{count} {change}" for change, count in changes.items())
    console.print(f"{told}: {out}/changes.gpkg for QGIS, changes.csv by district.", markup=False, soft_wrap=True)


def parse_bbox(text: str) -> "Bounds | None":
    """Four numbers with commas between them.

    Raises:
        SurveyError: it is anything else.
    """
    if not text:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SurveyError(f"'{text}' is no box: give --bbox west,south,east,north in degrees.") from error
    return west, south, east, north


@contextmanager
def survey_progress() -> "Iterator[Callable[[Progress], None]]":
    """A bar with blocks, km², places and the time left; lines now and then where there is no terminal."""
    if not console.is_terminal:
        lines = PlainLines()
        yield lambda now: lines(now.done + now.failed, now.blocks, f"{told(now)}; blocks")
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("blocks")
        said = set[str]()

        def show(now: "Progress") -> None:
            bar.update(task, completed=now.done + now.failed, total=now.blocks, description=f"{told(now)}; blocks")
            if now.dashboard and now.dashboard not in said:
                said.add(now.dashboard)
                bar.console.print(f"[dim]Dask's dashboard: {now.dashboard}[/dim]", soft_wrap=True)

        yield show


def told(now: "Progress") -> str:
    """What this run has found so far."""
    failed = f", {now.failed} failed" if now.failed else ""
    return f"{now.places} places on {now.km2:.2f} km²{failed}"
