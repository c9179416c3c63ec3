"""Commands about images and annotations: `parking ingest`, `parking data …`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli import options, session
from cli.console import console, progress_shown, table
from cli.files import check_writable, write_file
from cli.flow_command import flow_command
from cli.stopping import stops_soon
from parking.optional import need
from parking.settings import GENERATED, Settings, get_settings

if TYPE_CHECKING:
    from parking.data.dataset import Snapshot

app = typer.Typer(help="Show annotated images, or generate some.", no_args_is_help=True)


def ingest(
    data: options.Sources = None,
    labels: options.Labels = "",
    group_by: options.GroupBy = "",
    max_quarantined: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of scenes that may be unusable.")
    ] = 0.2,
    feedback_tests: Annotated[
        bool, typer.Option("--feedback-tests", help="Corrections were reviewed, and may be test scenes.")
    ] = False,
    state: options.State = None,
) -> None:
    """Take annotated images into a versioned dataset snapshot.

    Reads Label Studio, Labelbox, COCO, YOLO, Pascal VOC, CVAT, and GeoJSON or GeoPackage over GeoTIFFs.

    Example: [bold]parking ingest --data ~/annotated --labels pkw=vehicle,bucht=stall[/bold]
    """
    need("prefect", "A command that runs a flow")
    look_first(data, labels, get_settings())
    with flow_command(state, "Copied images are kept. Run the same command again to make the snapshot."):
        from flows.ingest import ingest as flow
        from parking.learning.scene_cache import find_snapshot

        version = flow(
            ";".join(data or ()), max_quarantined, feedback_tests=feedback_tests, labels=labels, group_by=group_by
        )
        show_snapshot(find_snapshot(version))


def look_first(data: list[str] | None, labels: str, settings: Settings) -> None:
    """Check that there are readable images and annotations, before Prefect starts, which takes half a minute.

    Raises:
        ParkingError: there are none, or they cannot be reached.
    """
    from parking.data.source import list_source, read_source, split_sources
    from parking.data.vocabulary import parse_labels

    meanings = parse_labels(labels or settings.labels)
    for source in data or split_sources(settings.data):
        if source != GENERATED:
            read_source(list_source(source), meanings)


def show_snapshot(snapshot: "Snapshot") -> None:
    """Print what a snapshot holds, and what was left out and why."""
    console.print(
        f"Snapshot [bold]{snapshot.version}[/bold] of {escape(snapshot.source)}: {len(snapshot.train)} scenes to train "
        f"on, {len(snapshot.test)} to test on, {snapshot.content}.",
        soft_wrap=True,
    )
    if snapshot.quarantine:
        listed = table("quarantined", "reason")
        for item in snapshot.quarantine:
            listed.add_row(escape(item.image), escape(item.reason))
        console.print(listed)


@app.command()
def show(
    dataset: options.Dataset = "latest",
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("contact-sheet.png"),
    state: options.State = None,
) -> None:
    """Write a contact sheet: every image of a snapshot with its free places drawn on it.

    Example: [bold]parking data show --out sheet.png[/bold]
    """
    settings = session.start(state)
    check_writable(out)
    from parking.data.contact_sheet import contact_sheet
    from parking.data.dataset import load_snapshot
    from parking.data.imagery import encode_png
    from parking.storage import open_store

    store = open_store(settings.store_url)
    snapshot = load_snapshot(store, dataset)
    write_file(out, encode_png(contact_sheet(store, snapshot)))
    show_snapshot(snapshot)
    console.print(f"Wrote {out}.", markup=False, soft_wrap=True)


@app.command()
def generate(
    folder: Annotated[Path, typer.Argument(help="Where to write images and annotations.coco.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 60,
    size: Annotated[int, typer.Option(min=128, max=4096, help="Width and height in pixels.")] = 768,
    seed: Annotated[int, typer.Option(help="The same seed draws the same scenes.")] = 0,
) -> None:
    """Generate annotated scenes: streets, car parks, roofs and trees, with exact polygons of the free places.

    Example: [bold]parking data generate scenes/ --count 40[/bold]
    """
    from parking.data.synthetic import generate_dataset
    from parking.progress import report

    with stops_soon("Generated images are kept, without annotations."), progress_shown():
        written = generate_dataset(folder, count, seed, size, progress=report)
    console.print(f"Wrote {count} scenes to {written}.", markup=False, soft_wrap=True)
