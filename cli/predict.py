"""`parking predict`: the free places of images, with whichever model is named."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options, session
from cli.console import console, show_error
from parking.errors import ModelError, NoVersionError, OutputError, ParkingError

if TYPE_CHECKING:
    from parking.detection.detector import Detector
    from parking.settings import Settings


def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP or TIFF files.")],
    out: Annotated[Path, typer.Option(help="Folder for the answers.")] = Path("predictions"),
    model: options.Model = "",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least probability. (default: the model's)")
    ] = None,
    state: options.State = None,
) -> None:
    """Find the free places in images: NAME.geojson, NAME.overlay.png and NAME.prob.png for each.

    Example: [bold]parking predict car-park.jpg --out answers[/bold]
    """
    settings = session.start(state)
    detector = load_detector(model, settings)
    failed = 0
    answered: dict[str, Path] = {}
    for image in dict.fromkeys(images):
        try:
            check_unanswered(image, answered, out)
            line = predict_one(detector, image, out, threshold, settings)
            console.print(line, markup=False, soft_wrap=True)
        except ParkingError as error:
            failed += 1
            show_error(f"{image}: {error}")
    if failed:
        raise typer.Exit(1)


def check_unanswered(image: Path, answered: dict[str, Path], out: Path) -> None:
    """Note whose answers a name stands for, so that those of two images do not overwrite each other.

    Raises:
        OutputError: the answers of an image of this name, in another folder or form, are there.
    """
    first = answered.setdefault(image.stem, image)
    if first != image:
        raise OutputError(
            f"{out / image.stem}.geojson and the pictures beside it are those of {first}, and stay. "
            "Ask again for this image with another --out."
        )


def predict_one(detector: "Detector", image: Path, out: Path, threshold: float | None, settings: "Settings") -> str:
    """Write one image's answers; returns a line that says what was found."""
    from parking.data.imagery import read_raster
    from parking.detection.output import write_answers

    raster = read_raster(image, max_megapixels=settings.max_megapixels)
    found = detector.detect(raster, threshold=threshold, assumed_gsd=settings.assumed_gsd or None)
    write_answers(found, raster, out / image.stem)
    low, high = found.count_interval
    taken = found.imagery_date or "unknown date"
    return f"{image}: {found.count} free places (80 % interval {low} to {high}), imagery of {taken}"


def load_detector(model: str, settings: "Settings") -> "Detector":
    """The detector of a model file, a version number or an alias; what serves, or else what ships, for no name."""
    from parking.detection.detector import Detector

    if not model:
        return Detector.load(serving_or_shipped(settings), threads=settings.threads, runtime=settings.runtime)
    path = Path(model)
    if path.suffix == ".onnx" and not path.is_file():
        raise ModelError(f"There is no model file {model}: correct the path, or name a version or an alias.")
    if not path.is_file():
        from parking.workspace import open_workspace

        registry = open_workspace().registry
        path = registry.fetch(registry.resolve(model), settings.state_dir / "models")
    return Detector.load(path, threads=settings.threads, runtime=settings.runtime)


def serving_or_shipped(settings: "Settings") -> Path:
    """The file of the version that serves; the shipped model where none does yet."""
    from parking.shipped import has_no_registry, shipped_model
    from parking.workspace import open_workspace

    if not has_no_registry(settings):
        registry = open_workspace().registry
        try:
            return registry.fetch(registry.resolve(), settings.state_dir / "models")
        except NoVersionError:
            pass
    console.print("[dim]Nothing serves yet: this is the model that ships with the package.[/dim]", soft_wrap=True)
    return shipped_model()
