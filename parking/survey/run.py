"""A survey, from its sources to its files; blocks that are finished are not computed again."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pydantic import TypeAdapter

from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.detection.runtime import Runtime
from parking.errors import SurveyError
from parking.storage import Store, open_store
from parking.survey import districts as by_district
from parking.survey.bays import BayLayer, read_bay_layer
from parking.survey.blocks import Block, KnownBay
from parking.survey.engine import Task, cluster, run_blocks, threads_per_worker
from parking.survey.folder import CHECKSUMS, FRAME, WORK, alone_in_survey, block_key, imagery_folder, read_json
from parking.survey.grid import Bounds, Grid
from parking.survey.http import Access, shown
from parking.survey.inputs import find_imagery
from parking.survey.kerbs import kerb_lengths
from parking.survey.mosaic import Layer
from parking.survey.outputs import Finished, write_outputs
from parking.survey.plan import Frame, Plan, fingerprint, make_frame, make_layers, make_plan, overlap, union
from parking.survey.records import PLACE, decode
from parking.survey.request import Progress, SurveyRequest
from parking.survey.sources import Source
from parking.survey.tile_layer import Wanted
from parking.survey.vectors import bbox_area, names_of, read_polygons
from parking.survey.worker import Job
from parking.version import code_version

__all__ = ["run_survey"]

_CHECKSUM_MAP = TypeAdapter(dict[str, str])


def run_survey(
    request: SurveyRequest,
    model: Path,
    *,
    runtime: Runtime = "onnxruntime",
    workers: int = 1,
    dask: str = "",
    access: Access | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Compute a survey, or resume it; returns the content of `survey.json`.

    Args:
        request: for the survey.
        model: an exported model.onnx.
        runtime: inference runtime.
        workers: processes on this machine, if no scheduler is given.
        dask: address of a Dask scheduler.
        access: servers that may be asked for imagery; by default none.
        progress: called after each block.

    Raises:
        SurveyError: the request cannot be fulfilled, or no block could be computed.
        ModelError: the model cannot be used.
    """
    store = open_store(request.out)
    with alone_in_survey(store):
        return _run(request, store, model, runtime, workers, dask, access or Access(), progress)


def _run(
    request: SurveyRequest,
    store: Store,
    model: Path,
    runtime: Runtime,
    workers: int,
    dask: str,
    access: Access,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    begun, started = time.monotonic(), datetime.now(UTC)
    # Here too, and not only on the workers: a model that cannot be used fails at once, with one message.
    detector = Detector.load(model, threads=1, runtime=runtime)
    contract = detector.contract
    known = read_json(store, CHECKSUMS, _CHECKSUM_MAP) or {}
    wanted = _wanted(request, store, access, contract.gsd)
    sources = find_imagery(request.sources, contract.gsd, wanted, crs=request.crs, known=known)
    frame = _frame(store, sources, contract.gsd, request.out)
    stretches = dict(frame.stretches)
    layers = make_layers(sources, stretches)
    area = _area(request, frame.grid.crs)
    plan = make_plan(frame.grid, layers, contract, request.block, area)
    bays = read_bay_layer(request.bays, frame.grid, plan.tiling, contract) if request.bays else None
    counter = _counter(request, frame.grid)
    store.write(CHECKSUMS, _CHECKSUM_MAP.dump_json(known))
    bounds = union([frame.bounds, *(source.bounds for source in sources)])
    store.write(FRAME, Frame(grid=frame.grid, stretches=stretches, bounds=bounds).model_dump_json().encode())
    threads = threads_per_worker(dask, workers)
    job = Job(frame.grid, plan.tiling, request.threshold, detector.sha256, runtime, threads, code_version())
    finished = _compute(store, plan, bays, job, model, workers, dask, progress)
    if not finished.names:
        reasons = "; ".join(dict.fromkeys(one["reason"] for one in finished.failed))
        raise SurveyError(f"No block of the survey could be computed: {reasons}")
    about = _about(request, contract, detector.sha256, started)
    return write_outputs(store, plan, finished, area, counter, bays, contract, about, begun)


def _compute(
    store: Store,
    plan: Plan,
    bays: BayLayer | None,
    job: Job,
    model: Path,
    workers: int,
    dask: str,
    progress: Callable[[Progress], None],
) -> Finished:
    """Compute the blocks that are not kept yet."""
    kept = {key.rpartition("/")[2].removesuffix(".parquet") for key in store.keys(f"{WORK}/blocks/")}

    def known(block: Block) -> tuple[KnownBay, ...]:
        return () if bays is None else bays.of(block)

    names = {
        block: fingerprint(block, plan.there(block), plan, job.model, job.threshold, known(block))
        for block in plan.blocks
    }
    finished = Finished({block: name for block, name in names.items() if name in kept})
    now = Progress(blocks=len(names), done=len(finished.names))
    progress(now)
    due = [block for block in plan.blocks if block not in finished.names]
    if not due:
        return finished

    def done(block: Block, data: bytes) -> None:
        store.write(block_key(names[block]), data)
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

    with cluster(dask, min(workers, len(due))) as client:
        at_once = sum(client.ncores().values())
        tasks: Iterator[Task] = ((block, _sharing(plan.there(block), at_once), known(block)) for block in due)
        now.dashboard = str(client.dashboard_link)
        run_blocks(client, job, model.read_bytes(), tasks, done, failed)
    return finished


def _sharing(layers: tuple[Layer, ...], workers: int) -> tuple[Layer, ...]:
    """The layers for one of several workers, with its share of the requests at once."""
    return tuple(
        layer.model_copy(update={"sources": tuple(source.asked_by(workers) for source in layer.sources)})
        for layer in layers
    )


def _wanted(request: SurveyRequest, store: Store, access: Access, gsd: float) -> Wanted:
    """What servers are asked for; `gsd` is the model's."""
    return Wanted(
        bounds=_bounds(request),
        gsd=request.gsd or gsd,
        access=access,
        cache=str(imagery_folder(store)),
        attribution=request.attribution,
        asset=request.asset,
    )


def _about(request: SurveyRequest, contract: Contract, sha256: str, started: datetime) -> dict[str, Any]:
    """What `survey.json` says of the run: time, model, code, settings."""
    # An address may contain a key.
    sources = [shown(place) if "://" in place else place for place in request.sources]
    return {
        "started": started.isoformat(timespec="seconds"),
        "model": {
            "sha256": sha256,
            "dataset": contract.dataset_version,
            "trained": contract.trained.isoformat(),
            "gsd": contract.gsd,
            "threshold": contract.threshold,
        },
        "code": code_version(),
        "settings": request.model_dump(mode="json", exclude={"out"}) | {"sources": sources},
    }


def _frame(store: Store, sources: list[Source], gsd: float, out: str) -> Frame:
    """The frame that the survey in this folder has, or a new one.

    Raises:
        SurveyError: the folder contains a survey of another area, or other files.
    """
    kept = read_json(store, FRAME, TypeAdapter(Frame))
    if kept is None:
        if any(not key.startswith(WORK) for key in store.keys("")):
            raise SurveyError(f"{out} holds other files. Name an empty folder, or that of an earlier survey.")
        return make_frame(sources, gsd)
    if not overlap(kept.bounds, union([source.bounds for source in sources])):
        raise SurveyError(f"{out} holds a survey of other ground. Name another folder for this one.")
    if abs(kept.grid.gsd / gsd - 1) > 2 * 0.01:
        # A model with another resolution: everything is computed again, on a grid of its own.
        return make_frame(sources, gsd)
    return kept


def _bounds(request: SurveyRequest) -> Bounds | None:
    """Longitudes and latitudes of the area; None if none is given."""
    if request.bbox:
        return request.bbox
    area = _area(request, "OGC:CRS84")
    return None if area is None else tuple(area.bounds)


def _area(request: SurveyRequest, crs: str) -> shapely.Geometry | None:
    if request.area and request.bbox:
        raise SurveyError("--area and --bbox are both given: leave one out.")
    if request.bbox:
        return bbox_area(request.bbox, crs)
    if request.area:
        return shapely.union_all(read_polygons(request.area, crs).shapes)
    return None


def _counter(request: SurveyRequest, grid: Grid) -> by_district.DistrictCounter | None:
    if not request.districts:
        if request.kerbs:
            raise SurveyError("--kerbs measures kerbs by district: give --districts, too.")
        return None
    polygons = read_polygons(request.districts, grid.crs)
    names = names_of(polygons, request.districts, request.district_name)
    lengths = kerb_lengths(request.kerbs, polygons.shapes, grid) if request.kerbs else None
    return by_district.DistrictCounter(names, polygons.shapes, kerb_km=lengths)
