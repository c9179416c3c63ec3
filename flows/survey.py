"""A survey of a whole city from Prefect: what `parking survey` does, with its result as artifacts."""

import json
from typing import Annotated

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, Field

from parking.model import find_model
from parking.progress import report
from parking.settings import get_settings
from parking.storage import open_store
from parking.survey.http import Access
from parking.survey.request import Progress, SurveyRequest
from parking.survey.run import run_survey

SURVEYS = "surveys"
"""Prefix of the store below which surveys lie, each under its name: the service shows them."""


class Surveyed(BaseModel):
    """What a survey found."""

    folder: str
    places: int
    places_interval: tuple[int, int]
    vehicles: int | None
    km2: float
    failed_blocks: int


@task(cache_policy=NO_CACHE)
def compute(request: SurveyRequest, model: str, workers: int) -> Surveyed:
    """Compute the blocks that are not finished yet, and write the survey's files."""
    settings = get_settings()
    file, _ = find_model(model, settings)

    def progress(now: Progress) -> None:
        report(now.done + now.failed, now.blocks, "blocks")

    found = run_survey(
        request,
        file,
        runtime=settings.runtime,
        workers=workers,
        dask=settings.dask_address,
        access=Access.of(settings),
        progress=progress,
    )
    return Surveyed(
        folder=request.out,
        places=found["places"],
        places_interval=tuple(found["places_interval"]),
        vehicles=found["vehicles"],
        km2=found["km2"],
        failed_blocks=len(found["blocks"]["failed"]),
    )


@flow
def survey(
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")],
    sources: Annotated[list[str], Field(min_length=1)],
    area: str = "",
    bbox: tuple[float, float, float, float] | None = None,
    districts: str = "",
    bays: str = "",
    kerbs: str = "",
    model: str = "",
    workers: Annotated[int, Field(ge=1, le=256)] = 1,
) -> Surveyed:
    """Find the free places of a whole city; a run that was stopped goes on where it was.

    Args:
        name: what the survey is called; the service shows it at /surveys/NAME.
        sources: files, folders and `s3://` prefixes of imagery, and addresses of layers: `wms:https://…?layers=…`,
            `wmts:https://…?layer=…`, `https://…/{z}/{x}/{y}.png`, of hosts that PARKING_IMAGERY_HOSTS allows.
        area: layer of polygons; only what lies in them is surveyed.
        bbox: west, south, east and north in degrees, instead of an area.
        districts: layer of polygons to sum up by.
        bays: layer of polygons, each a bay that is to be said free or occupied.
        kerbs: layer of lines, by whose length in a district its places are counted, too.
        model: a model file, a version number or an alias. Empty: what serves.
        workers: processes on this machine, where the settings name no Dask scheduler.
    """
    out = f"{get_settings().store_url}/{SURVEYS}/{name}"
    request = SurveyRequest(
        sources=tuple(sources), out=out, area=area, bbox=bbox, districts=districts, bays=bays, kerbs=kerbs
    )
    found = compute(request, model, workers)
    publish(found, name)
    return found


def publish(found: Surveyed, name: str) -> None:
    """Show in Prefect what was found: a sentence, the districts as a table, and where the map is."""
    low, high = found.places_interval
    failed = f" **{found.failed_blocks} blocks failed**: run it again." if found.failed_blocks else ""
    create_markdown_artifact(
        key=f"survey-{name}",
        markdown=f"**{found.places} free places** (80 % interval {low} to {high}) on {found.km2:,.5g} km².{failed}",
    )
    create_link_artifact(key=f"survey-{name}-map", link=f"{found.folder}/report.html", link_text="report.html: the map")
    store = open_store(found.folder)
    if store.exists("districts.geojson"):
        features = json.loads(store.read("districts.geojson"))["features"]
        create_table_artifact(key=f"survey-{name}-districts", table=[one["properties"] for one in features])
