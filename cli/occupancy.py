"""`parking occupancy`: which of the bays of a layer are taken."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli import options, session
from cli.console import console, table
from parking.errors import BaysError, OutputError


def occupancy(
    image: Annotated[str, typer.Argument(help="PNG, JPEG, WebP or TIFF file.")],
    bays: Annotated[Path, typer.Option(help="GeoJSON or GeoPackage of bays, a polygon each.")],
    out: Annotated[Path, typer.Option(help="Folder for the answer.")] = Path("predictions"),
    model: options.Model = "",
    gsd: Annotated[
        float | None, typer.Option(min=0.01, max=5, help="Metres a pixel of the image, whatever the file says.")
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over eight flips and turns: a little better, 8 times slower.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as JSON, nothing else.")] = False,
    state: options.State = None,
) -> None:
    """Say of each bay whether it is free or taken: NAME.bays.geojson, with the bays' own attributes, and a picture.

    Bays lie in any CRS for a georeferenced image, and in its pixels for a plain one.

    Example: [bold]parking occupancy car-park.tif --bays bays.gpkg[/bold]
    """
    settings = session.start(state)
    from parking.data.imagery import encode_png
    from parking.detection.bay_answer import bays_overlay, bays_to_geojson, totals_of
    from parking.files import write_whole
    from parking.model import load_model

    try:
        layer = bays.read_bytes()
    except OSError as error:
        raise BaysError(f"'{bays}' cannot be read: {error.strerror or error}. Check the path.") from error
    loaded = load_model(model, settings)
    raster, known, read = loaded.occupancy(image, layer, bays.name, gsd=gsd, tta=tta)
    answer = bays_to_geojson(known, read, raster, loaded.version)
    stem = out / Path(image).stem
    paths = stem.with_name(f"{stem.name}.bays.geojson"), stem.with_name(f"{stem.name}.bays.png")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(paths[0], json.dumps(answer).encode())
        write_whole(paths[1], encode_png(bays_overlay(raster, read)))
    except OSError as error:
        raise OutputError(
            f"The answer cannot be written to {out} ({error.strerror or error}). Name another."
        ) from error
    totals = totals_of(read) | {"outside": known.outside}
    if as_json:
        typer.echo(json.dumps({"image": raster.name, **totals}))
        return
    shown = table("free", "taken", "unsure", "share taken", "outside the image")
    shown.add_row(
        *(str(totals[n]) for n in ("free", "occupied", "unsure")), f"{totals['share_taken']:.0%}", str(known.outside)
    )
    console.print(shown)
    console.print(f"{paths[0]}\n{paths[1]}", soft_wrap=True)
