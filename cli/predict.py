"""`parking predict`: the free places of images, with whichever model is named."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options, session
from cli.console import progress_shown
from cli.stopping import stops_soon
from parking.errors import ImageError, ParkingError

if TYPE_CHECKING:
    from cli.images import NamedImage
    from cli.predict_report import Report


def predict(
    images: Annotated[
        list[str], typer.Argument(help="PNG, JPEG, WebP or TIFF files, folders, patterns, or - for standard input.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the answers.")] = Path("predictions"),
    model: options.Model = "",
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability from which a pixel counts as free. (default: the model's)"),
    ] = None,
    gsd: Annotated[
        float | None, typer.Option(min=0.01, max=5, help="Metres a pixel of the images, whatever the files say.")
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over eight flips and turns: a little better, 8 times slower.")
    ] = False,
    stretch: Annotated[
        str, typer.Option(help="Values that become black and white, as in 0,4095. (default: by percentiles)")
    ] = "",
    scales: Annotated[
        str, typer.Option(help="Sizes that images are read at, such as 1,0.8,0.67: finds more, takes longer.")
    ] = "1",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each image, nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print resolution, seconds and files, too.")] = False,
    state: options.State = None,
) -> None:
    """Find the free places in images: NAME.geojson, NAME.overlay.png and NAME.prob.tif for each.

    A plain photo does not say where on Earth it lies: its places are in pixels, in NAME.pixels.json, and NAME.prob.png.

    Example: [bold]parking predict car-park.jpg photos/ --out answers[/bold]
    """
    settings = session.start(state)
    from cli.images import Answers
    from cli.predict_report import Report
    from parking.data.stretch import parse_stretch
    from parking.model import load_model
    from parking.progress import report as progress

    sizes = parse_scales(scales)
    wanted = parse_stretch(stretch) if stretch else None
    report = Report(as_json=as_json, quiet=quiet, verbose=verbose)
    loaded = load_model(model, settings)
    if loaded.is_shipped and not model:
        report.note(f"No version serves yet: the model that ships with the package answers, {loaded.version}.")
    named, answers = name_images(images, out, report), Answers()
    with stops_soon(f"Written answers are kept in {out}."), progress_shown(silent=as_json or quiet):
        for done, image in enumerate(named):
            progress(done, len(named), "images")
            started = time.perf_counter()
            try:
                answers.claim(image)
                result = loaded.detect(
                    image.read(), gsd=gsd, threshold=threshold, tta=tta, scales=sizes, stretch=wanted
                )
                files = result.save(out / image.answers.parent, image.answers.name)
            except ParkingError as error:
                answers.release(image)
                report.failed(image.name, error)
            else:
                report.found(image.name, result, files, time.perf_counter() - started)
    report.summary()
    if report.failures:
        raise typer.Exit(1)


def parse_scales(text: str) -> tuple[float, ...]:
    """Sizes from words with commas between.

    Raises:
        ImageError: one is no number between 0.25 and 4.
    """
    try:
        sizes = tuple(float(word) for word in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or not all(0.25 <= size <= 4 for size in sizes):
        raise ImageError(f"--scales {text} names no sizes: give numbers between 0.25 and 4, such as 1,0.8,0.67.")
    return sizes


def name_images(words: Sequence[str], out: Path, report: "Report") -> list["NamedImage"]:
    """The images that the words name, each once; a word that names none costs the others nothing."""
    from cli.images import distinct, find_images

    named: list[NamedImage] = []
    for word in words:
        try:
            named += find_images(word, out)
        except ParkingError as error:
            report.failed(word, error)
    return distinct(named)
