"""Surveys for people on a map, and for QGIS as OGC API Features: read from their files a box at a time."""

import json
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Annotated, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from parking.errors import MissingKeyError
from parking.storage import Store, open_store
from parking.survey.imagery import DEEPEST, ShownSource, read_tile, shown_sources
from parking.survey.local import local_file
from service import openapi_examples
from service.auth import Shown, caller
from service.deadline import Deadline, while_wanted
from service.pages import HEADERS, WEB
from service.survey_imagery import LATER

__all__ = ["router"]

PREFIX = "surveys/"
"""Where surveys lie in the store, each under its name."""
MOST = 10_000
"""Places in one answer."""
_MAPLIBRE = files("parking.survey") / "web"
_VENDORED = ("maplibre-gl.js", "maplibre-gl.css", "survey-map.js")
_TILES = "imagery/{z}/{x}/{y}.png"
_GEOJSON = "application/geo+json"
_SHOWN = ["id", "confidence", "area_m2", "length_m", "direction", "source", "date", "district"]
_PAGE_HEADERS = {
    **HEADERS,
    # MapLibre draws in a worker that it makes of its own text.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' blob:; worker-src blob:; child-src blob:; style-src 'self' "
        "'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}

router = APIRouter(prefix="/surveys", tags=["surveys"], responses=openapi_examples.SURVEYS)

Bbox = Annotated[str, Query(pattern=r"^\s*-?[\d.]+(\s*,\s*-?[\d.]+){3}\s*$", description="West,south,east,north.")]


@router.get("", dependencies=[Depends(caller)])
def surveys(request: Request) -> dict[str, Any]:
    """The surveys that there are, as the collections of an OGC API."""
    store = _store(request)
    names = [key.split("/")[1] for key in store.keys(PREFIX) if re.fullmatch(rf"{PREFIX}[^/]+/survey\.json", key)]
    return {"collections": [_collection(name, _summary(store, name)) for name in names], "links": []}


@router.get("/{name}", response_model=None)
def survey(request: Request, name: str, shown: Shown) -> Response | dict[str, Any]:
    """What a survey found, from which imagery and how; to a browser, the page that shows it on a map."""
    if "text/html" in request.headers.get("accept", ""):
        # The page itself tells nothing: what it asks for wants the token.
        return FileResponse(WEB / "survey.html", headers=_PAGE_HEADERS)
    caller(request, shown)
    summary = _summary(_store(request), name)
    collection = _collection(name, summary)
    if shown_sources(summary, _shown_places(request)):
        collection["links"].append({"rel": "tiles", "type": "image/png", "href": f"surveys/{name}/{_TILES}"})
    return collection | summary


@router.get("/{name}/items", dependencies=[Depends(caller)], include_in_schema=False)
@router.get("/{name}/places", dependencies=[Depends(caller)])
def places(
    request: Request,
    name: str,
    bbox: Bbox = "-180,-90,180,90",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    """Places in a box of longitudes and latitudes, as GeoJSON, a page at a time.

    West above east is a box across the antimeridian. `numberReturned` below `limit` is the last page; until then a link
    leads to the `next`.
    """
    store = _store(request)
    _summary(store, name)
    west, south, east, north = (float(part) for part in bbox.split(","))
    file = _file(request, name, "places.parquet")
    features = read_places(file, (west, south, east, north), limit, offset)
    links = [{"rel": "self", "type": _GEOJSON, "href": str(request.url)}]
    if len(features) == limit:
        following = request.url.include_query_params(offset=offset + limit, limit=limit)
        links.append({"rel": "next", "type": _GEOJSON, "href": str(following)})
    answer = {"type": "FeatureCollection", "features": features, "numberReturned": len(features), "links": links}
    return JSONResponse(answer, media_type=_GEOJSON)


@router.get("/{name}/districts", dependencies=[Depends(caller)])
def districts(request: Request, name: str) -> JSONResponse:
    """Districts with what was found in each, as GeoJSON; empty where the survey was not asked for any."""
    store = _store(request)
    _summary(store, name)
    try:
        answer = json.loads(store.read(f"{PREFIX}{_checked(name)}/districts.geojson"))
    except MissingKeyError:
        answer = {"type": "FeatureCollection", "features": []}
    return JSONResponse(answer, media_type=_GEOJSON)


@router.get(
    f"/{{name}}/{_TILES}",
    dependencies=[Depends(caller)],
    response_class=Response,
    responses=openapi_examples.SURVEY_IMAGERY,
    # The page's own, as `/preview` is; generators of clients know no answer that is only a picture.
    include_in_schema=False,
)
async def survey_imagery(
    request: Request,
    name: str,
    z: Annotated[int, Path(ge=0, le=DEEPEST)],
    x: Annotated[int, Path(ge=0, lt=2**DEEPEST)],
    y: Annotated[int, Path(ge=0, lt=2**DEEPEST)],
) -> Response:
    """The imagery that a survey was made of, as a tile of a web map, where PARKING_SURVEY_IMAGERY lets it be shown."""
    if max(x, y) >= 2**z:
        raise HTTPException(404, f"There is no tile {z}/{x}/{y}: columns and rows of zoom {z} end at {2**z - 1}.")
    state = request.app.state.service
    deadline = Deadline(state.settings.request_seconds, LATER)

    def work() -> bytes:
        deadline.check()
        file = _file(request, name, "survey.json")
        sources = _shown(file, file.stat().st_mtime_ns, _shown_places(request))
        if not sources:
            raise HTTPException(404, f"The imagery of '{name}' is not shown here: see PARKING_SURVEY_IMAGERY.")
        return read_tile(sources, z, x, y, deadline.check)

    body = await while_wanted(request, deadline, state.tiles.read(work, deadline))
    return Response(body, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@lru_cache(maxsize=8)
def _shown(file: FilePath, changed: int, places: tuple[str, ...]) -> tuple[ShownSource, ...]:
    return shown_sources(json.loads(file.read_bytes()), places)


def _shown_places(request: Request) -> tuple[str, ...]:
    named: str = request.app.state.service.settings.survey_imagery
    return tuple(place.strip() for place in named.split(";") if place.strip())


def read_places(
    file: FilePath, bbox: tuple[float, float, float, float], limit: int, offset: int
) -> list[dict[str, Any]]:
    """Features of a GeoParquet file in a box.

    Only the row groups whose boxes touch it are read, one after the other until the page is full: memory holds one.
    Those that lie in it and before the page are only counted.

    Args:
        file: places of a survey.
        bbox: west, south, east and north.
        limit: most that are returned.
        offset: matches to leave out first.
    """
    parquet, features = pq.ParquetFile(file), list[dict[str, Any]]()
    boxes = _group_boxes(file, file.stat().st_mtime_ns)
    for number, box in enumerate(boxes):
        if not _touch(box, bbox):
            continue
        rows = parquet.metadata.row_group(number).num_rows
        if rows <= offset and _holds(bbox, box):
            offset -= rows
            continue
        table = parquet.read_row_group(number, columns=[*_SHOWN, "bbox", "geometry"])
        table = table.filter(_inside(table["bbox"], bbox))
        skipped = min(offset, len(table))
        offset -= skipped
        features += _features(table.slice(skipped, limit - len(features)))
        if len(features) == limit:
            break
    return features


@lru_cache(maxsize=64)
def _group_boxes(file: FilePath, changed: int) -> list[tuple[float, float, float, float]]:
    """West, south, east and north of each row group, by the file's own statistics."""
    about = pq.ParquetFile(file).metadata
    if not about.num_row_groups:
        return []
    columns = {about.row_group(0).column(n).path_in_schema: n for n in range(about.num_columns)}
    sides = [columns[f"bbox.{side}"] for side in ("xmin", "ymin", "xmax", "ymax")]
    found = []
    for number in range(about.num_row_groups):
        west, south, east, north = (about.row_group(number).column(side).statistics for side in sides)
        found.append((west.min, south.min, east.max, north.max))
    return found


def _touch(one: tuple[float, float, float, float], bbox: tuple[float, float, float, float]) -> bool:
    west, south, east, north = bbox
    across = one[0] <= east and one[2] >= west if west <= east else one[2] >= west or one[0] <= east
    return across and one[1] <= north and one[3] >= south


def _holds(bbox: tuple[float, float, float, float], one: tuple[float, float, float, float]) -> bool:
    """Whether all of a group surely lies in a box; where that crosses the antimeridian, nobody looks."""
    return bbox[0] <= one[0] and bbox[1] <= one[1] and one[2] <= bbox[2] and one[3] <= bbox[3]


def _inside(boxes: Any, bbox: tuple[float, float, float, float]) -> Any:  # noqa: ANN401 - of Arrow, which has no types
    west, south, east, north = bbox
    side = {name: pc.struct_field(boxes, name) for name in ("xmin", "ymin", "xmax", "ymax")}
    begins, ends = pc.less_equal(side["xmin"], east), pc.greater_equal(side["xmax"], west)
    across = pc.and_(begins, ends) if west <= east else pc.or_(begins, ends)
    return pc.and_(across, pc.and_(pc.less_equal(side["ymin"], north), pc.greater_equal(side["ymax"], south)))


def _features(rows: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    outlines = shapely.to_geojson(shapely.from_wkb(rows["geometry"].to_numpy(zero_copy_only=False)))
    properties = rows.select(_SHOWN).to_pylist()
    return [
        {"type": "Feature", "id": row["id"], "geometry": json.loads(outline), "properties": row}
        for row, outline in zip(properties, outlines, strict=True)
    ]


def _collection(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    newest, oldest = summary["imagery"]["newest"], summary["imagery"]["oldest"]
    interval = [[f"{oldest}T00:00:00Z" if oldest else None, f"{newest}T00:00:00Z" if newest else None]]
    return {
        "id": name,
        "title": f"{name}: {summary['places']} free places",
        "itemType": "feature",
        "extent": {"spatial": {"bbox": [summary["bounds"]]}, "temporal": {"interval": interval}},
        "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
        "links": [{"rel": "items", "type": _GEOJSON, "href": f"surveys/{name}/items"}],
    }


def _summary(store: Store, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(store.read(f"{PREFIX}{_checked(name)}/survey.json"))
    except MissingKeyError as error:
        raise HTTPException(404, f"There is no survey '{name}'. /surveys lists those that there are.") from error
    return found


def _checked(name: str) -> str:
    """A name that stays in its folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise HTTPException(404, f"There is no survey '{name}'. /surveys lists those that there are.")
    return name


def _file(request: Request, name: str, file: str) -> FilePath:
    """A file of a survey on this machine."""
    cache = request.app.state.service.settings.state_dir / "cache" / "surveys"
    try:
        return local_file(_store(request), f"{PREFIX}{_checked(name)}/{file}", cache)
    except MissingKeyError as error:
        raise HTTPException(404, f"There is no survey '{name}'. /surveys lists those that there are.") from error


def _store(request: Request) -> Store:
    return _opened(request.app.state.service.settings.store_url)


@lru_cache(maxsize=4)
def _opened(url: str) -> Store:
    return open_store(url)


@router.get("/static/{name}", include_in_schema=False)
def vendored(name: str) -> Response:
    """What the page draws its map with; it ships with the package that makes the reports."""
    if name not in _VENDORED:
        raise HTTPException(404, f"There is no '{name}'.")
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return Response((_MAPLIBRE / name).read_bytes(), media_type=kind, headers=HEADERS)
