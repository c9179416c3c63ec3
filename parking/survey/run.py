"""A survey from its sources to its files; what was finished before is not computed again."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pyproj import Transformer

from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.detection.runtime import Runtime
from parking.detection.spots import count_interval
from parking.errors import MissingKeyError, SurveyError
from parking.lock import alone_in
from parking.storage import FolderStore, Store, open_store
from parking.survey import districts as by_district
from parking.survey.blocks import Block
from parking.survey.engine import Task, cluster, run_blocks, threads_per_worker
from parking.survey.grid import Bounds, Grid
from parking.survey.plan import Frame, Plan, fingerprint, make_frame, make_layers, make_plan, overlap, union
from parking.survey.records import PLACE, VEHICLE, cell_step, decode
from parking.survey.report import Density, district_features, report_page
from parking.survey.results import Gatherer, write_density, write_districts
from parking.survey.sources import Source, find_sources
from parking.survey.style import DENSITY_STYLE, TAKEN_STYLE, VEHICLES_STYLE
from parking.survey.vectors import bbox_area, names_of, read_polygons
from parking.survey.worker import Job
from parking.version import code_version

WORK = ".survey"
"""What a survey keeps for itself, below its folder."""
SUMMARY = "survey.json"
_FRAME, _CHECKSUMS = f"{WORK}/frame.json", f"{WORK}/checksums.json"
T = TypeVar("T")
_CHECKSUM_MAP = TypeAdapter(dict[str, str])


class SurveyRequest(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    sources: tuple[str, ...]
    """Files, folders and `s3://` prefixes of imagery."""
    out: str
    """Folder or `s3://bucket/prefix` for the result."""
    area: str = ""
    """Layer of polygons; only what lies in them is surveyed."""
    bbox: Bounds | None = None
    """West, south, east and north in degrees, instead of an area."""
    districts: str = ""
    """Layer of polygons to sum up by."""
    district_name: str = ""
    """Column with their names."""
    threshold: float | None = None
    """Least probability, instead of the model's."""
    block: int = 4096
    """About how many pixels along the edge of a block."""
    crs: str | None = None
    """Of imagery that does not say."""


class Progress(BaseModel):
    """How far a survey is."""

    done: int = 0
    failed: int = 0
    blocks: int = 0
    places: int = 0
    km2: float = 0.0
    dashboard: str = ""


@dataclass
class _Finished:
    """Blocks of this survey that are kept, and those that failed."""

    names: dict[Block, str] = field(default_factory=dict)
    failed: list[dict[str, Any]] = field(default_factory=list)


def run_survey(
    request: SurveyRequest,
    model: Path,
    *,
    runtime: Runtime = "onnxruntime",
    workers: int = 1,
    dask: str = "",
    progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Compute a survey, or go on with it; returns what `survey.json` says.

    Args:
        request: what is asked for.
        model: an exported model.onnx.
        runtime: what runs it.
        workers: processes on this machine, where no scheduler is named.
        dask: address of a scheduler.
        progress: told after each block.

    Raises:
        SurveyError: something that was asked for cannot be, or no block could be read.
        ModelError: the model cannot be used.
    """
    store = open_store(request.out)
    with _alone(store):
        return _run(request, store, model, runtime, workers, dask, progress)


def _run(
    request: SurveyRequest,
    store: Store,
    model: Path,
    runtime: Runtime,
    workers: int,
    dask: str,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    begun, started = time.monotonic(), datetime.now(UTC)
    # Here too, not only on the workers: a model that cannot be used should say so once and at once.
    detector = Detector.load(model, threads=1, runtime=runtime)
    contract = detector.contract
    known = _read(store, _CHECKSUMS, _CHECKSUM_MAP) or {}
    sources = find_sources(request.sources, contract.gsd, crs=request.crs, known=known)
    frame = _frame(store, sources, contract.gsd, request.out)
    stretches = dict(frame.stretches)
    layers = make_layers(sources, stretches)
    area = _area(request, frame.grid)
    plan = make_plan(frame.grid, layers, contract, request.block, area)
    counter = _counter(request, frame.grid)
    _write(store, _CHECKSUMS, _CHECKSUM_MAP.dump_json(known))
    bounds = union([frame.bounds, *(source.bounds for source in sources)])
    _write(store, _FRAME, Frame(grid=frame.grid, stretches=stretches, bounds=bounds).model_dump_json().encode())
    threads = threads_per_worker(dask, workers)
    job = Job(frame.grid, plan.tiling, request.threshold, detector.sha256, runtime, threads, code_version())
    finished = _compute(store, plan, job, model, workers, dask, progress)
    if not finished.names:
        reasons = "; ".join(dict.fromkeys(one["reason"] for one in finished.failed))
        raise SurveyError(f"No block of the survey could be computed: {reasons}")
    about = {
        "started": started.isoformat(timespec="seconds"),
        "model": _about(contract, detector.sha256),
        "code": code_version(),
        "settings": request.model_dump(mode="json", exclude={"out"}),
    }
    return _gather(store, plan, finished, area, counter, contract, about, begun)


def _compute(
    store: Store,
    plan: Plan,
    job: Job,
    model: Path,
    workers: int,
    dask: str,
    progress: Callable[[Progress], None],
) -> _Finished:
    """Compute the blocks that are not kept yet."""
    kept = {key.rpartition("/")[2].removesuffix(".parquet") for key in store.keys(f"{WORK}/blocks/")}
    names = {block: fingerprint(block, plan.there(block), plan, job.model, job.threshold) for block in plan.blocks}
    finished = _Finished({block: name for block, name in names.items() if name in kept})
    now = Progress(blocks=len(names), done=len(finished.names))
    progress(now)
    due = [block for block in plan.blocks if block not in finished.names]
    if not due:
        return finished

    def done(block: Block, data: bytes) -> None:
        store.write(_block_key(names[block]), data)
        finished.names[block] = names[block]
        record = decode(data)
        now.done += 1
        now.places += int(np.count_nonzero(record.rows["kind"].to_numpy() == PLACE))
        now.km2 += record.pixels * job.grid.gsd**2 / 1e6
        progress(now)

    def failed(block: Block, reason: str) -> None:
        finished.failed.append({"row": block.row, "column": block.column, "reason": reason})
        now.failed += 1
        progress(now)

    tasks: Iterator[Task] = ((block, plan.there(block)) for block in due)
    with cluster(dask, min(workers, len(due))) as client:
        now.dashboard = str(client.dashboard_link)
        run_blocks(client, job, model.read_bytes(), tasks, done, failed)
    return finished


def _gather(
    store: Store,
    plan: Plan,
    finished: _Finished,
    area: shapely.Geometry | None,
    counter: by_district.DistrictCounter | None,
    contract: Contract,
    about: dict[str, Any],
    begun: float,
) -> dict[str, Any]:
    """Write the files beside their places, then let them take these."""
    with _staging(store) as folder:
        gatherer = Gatherer(folder, plan.grid, area, counter)
        for _, name in sorted(finished.names.items()):
            gatherer.add(decode(store.read(_block_key(name))))
        gatherer.close()
        files = gatherer.write(PLACE, "places")
        knows_vehicles = contract.vehicles is not None
        if knows_vehicles:
            files += gatherer.write(VEHICLE, "vehicles", VEHICLES_STYLE)
        density = Density(gatherer.seen, gatherer.places_in, plan.grid)
        write_density(folder / "density.tif", density, plan.grid)
        files.append("density.tif")
        rows: list[by_district.District] = []
        shapes = np.empty(0, object)
        if counter is not None:
            seen = seen_shares(counter.shapes, gatherer.seen, plan.grid)
            rows = by_district.summarise(counter, plan.grid, seen, contract.count, knows_vehicles=knows_vehicles)
            shapes = counter.shapes
            style = TAKEN_STYLE if knows_vehicles else DENSITY_STYLE
            write_districts(folder / "districts.gpkg", rows, shapes, plan.grid, style)
            (folder / "districts.csv").write_bytes(by_district.to_csv(rows))
            files += ["districts.gpkg", "districts.csv"]
        summary = _summary(plan, finished, gatherer, contract, about, knows_vehicles=knows_vehicles)
        summary["seconds"] = round(time.monotonic() - begun, 1)
        outlines = in_degrees(shapes, plan.grid)
        (folder / "report.html").write_bytes(report_page(summary, rows, outlines, folder / "places.parquet", density))
        if counter is not None:
            features = json.dumps(district_features(rows, outlines), ensure_ascii=False)
            (folder / "districts.geojson").write_text(features, encoding="utf-8")
            files.append("districts.geojson")
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _publish(store, folder, [*files, "report.html", SUMMARY])
    _forget_others(store, finished)
    return summary


def _summary(
    plan: Plan,
    finished: _Finished,
    gatherer: Gatherer,
    contract: Contract,
    about: dict[str, Any],
    *,
    knows_vehicles: bool,
) -> dict[str, Any]:
    totals, sources = gatherer.totals, [source for layer in plan.layers for source in layer.sources]
    low, high = count_interval(totals.places, contract.count, by_district.LEVEL)
    dates = sorted(source.date.isoformat() for source in sources if source.date)
    return {
        **about,
        "crs": plan.grid.crs,
        "gsd": plan.grid.gsd,
        "bounds": list(union([source.bounds for source in sources])),
        "places": totals.places,
        "places_interval": [low, high],
        "vehicles": totals.vehicles if knows_vehicles else None,
        "pixels": totals.pixels,
        "km2": round(totals.pixels * plan.grid.gsd**2 / 1e6, 6),
        "imagery": {
            "oldest": dates[0] if dates else None,
            "newest": dates[-1] if dates else None,
            "undated": sum(source.date is None for source in sources),
        },
        "blocks": {
            "count": len(plan.blocks),
            "side": plan.tiling.side,
            "failed": sorted(finished.failed, key=lambda one: (one["row"], one["column"])),
        },
        "tiles": totals.tiles,
        "sources": [
            {"name": s.name, "path": s.path, "checksum": s.checksum, "date": s.date.isoformat() if s.date else None,
             "gsd": round(s.gsd, 4), "crs": s.crs}
            for s in sources
        ],
    }  # fmt: skip


def seen_shares(shapes: NDArray[np.object_], seen: dict[tuple[int, int], int], grid: Grid) -> NDArray[np.float64]:
    """Share of each shape that the imagery shows, to about a cell of the density; NaN for shapes of a few cells."""
    step = cell_step(grid)
    edge = step * grid.step
    rows, columns = (np.array([cell[axis] for cell in seen], float) for axis in (0, 1))
    points = shapely.points(grid.x + (columns + 0.5) * edge, grid.y - (rows + 0.5) * edge)
    which, inside = shapely.STRtree(shapes).query(points, predicate="within")[::-1]
    found = np.zeros(len(shapes))
    np.add.at(found, which, np.fromiter(seen.values(), float)[inside])
    areas = shapely.area(shapes) / grid.step**2
    return np.where(areas < 4 * step**2, np.nan, np.minimum(1, found / np.maximum(areas, 1)))


def in_degrees(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Shapes in longitude and latitude."""
    transformer: Transformer = grid.to_wgs84()
    return np.asarray(shapely.transform(shapes, lambda at: np.column_stack(transformer.transform(*at.T))), object)


def _about(contract: Contract, sha256: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "dataset": contract.dataset_version,
        "trained": contract.trained.isoformat(),
        "gsd": contract.gsd,
        "threshold": contract.threshold,
    }


def _frame(store: Store, sources: list[Source], gsd: float, out: str) -> Frame:
    """The frame that the survey in this folder has, or a new one.

    Raises:
        SurveyError: the folder holds a survey of other ground, or something else.
    """
    kept = _read(store, _FRAME, TypeAdapter(Frame))
    if kept is None:
        if any(not key.startswith(WORK) for key in store.keys("")):
            raise SurveyError(f"{out} holds other files. Name an empty folder, or that of an earlier survey.")
        return make_frame(sources, gsd)
    if not overlap(kept.bounds, union([source.bounds for source in sources])):
        raise SurveyError(f"{out} holds a survey of other ground. Name another folder for this one.")
    if abs(kept.grid.gsd / gsd - 1) > 2 * 0.01:
        # Another model that wants another resolution: all is computed anew, on a grid of its own.
        return make_frame(sources, gsd)
    return kept


def _area(request: SurveyRequest, grid: Grid) -> shapely.Geometry | None:
    if request.area and request.bbox:
        raise SurveyError("--area and --bbox are both given: leave one out.")
    if request.bbox:
        return bbox_area(request.bbox, grid)
    if request.area:
        return shapely.union_all(read_polygons(request.area, grid).shapes)
    return None


def _counter(request: SurveyRequest, grid: Grid) -> by_district.DistrictCounter | None:
    if not request.districts:
        return None
    polygons = read_polygons(request.districts, grid)
    return by_district.DistrictCounter(names_of(polygons, request.districts, request.district_name), polygons.shapes)


def _read(store: Store, key: str, kind: TypeAdapter[T]) -> T | None:
    try:
        return kind.validate_json(store.read(key))
    except MissingKeyError:
        return None
    except ValueError as error:
        raise SurveyError(f"'{key}' in {store.url} is damaged ({error}). Remove the folder {WORK} there.") from error


def _write(store: Store, key: str, data: bytes) -> None:
    store.write(key, data)


def _block_key(name: str) -> str:
    return f"{WORK}/blocks/{name}.parquet"


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    if not isinstance(store, FolderStore):
        yield
        return
    with alone_in(store.root / WORK):
        yield


@contextmanager
def _staging(store: Store) -> Iterator[Path]:
    """A folder to write in, on the same disk as the result where that is a folder."""
    if isinstance(store, FolderStore):
        folder = store.root / WORK / "staging"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with tempfile.TemporaryDirectory(prefix="parking-survey-") as name:
        yield Path(name)


def _publish(store: Store, folder: Path, files: list[str]) -> None:
    """Put the files in place, each whole; the summary comes last."""
    for name in files:
        if isinstance(store, FolderStore):
            (folder / name).replace(store.root / name)
        else:
            store.write(name, (folder / name).read_bytes())


def _forget_others(store: Store, finished: _Finished) -> None:
    """Remove blocks of older imagery and models."""
    current = set(finished.names.values())
    for key in list(store.keys(f"{WORK}/blocks/")):
        if key.rpartition("/")[2].removesuffix(".parquet") not in current:
            store.delete(key)
