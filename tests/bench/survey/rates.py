"""How fast blocks are computed, beside a bare loop of ONNX Runtime over the same tiles; and what whole surveys take.

Each function measures in the process that calls it, so each is called in a process of its own. Beside the time that
passes it takes processor seconds, which a busy machine changes less.
"""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client
from numpy.typing import NDArray

from parking.detection.detector import Detector
from parking.files import write_whole
from parking.settings import get_settings
from parking.shipped import shipped_model
from parking.survey import engine, run, worker
from parking.survey.blocks import Block
from parking.survey.plan import Plan, make_frame, make_layers, make_plan
from parking.survey.records import decode
from parking.survey.request import SurveyRequest
from parking.survey.sources import find_sources
from parking.version import code_version


def beside_bare_loop(mosaic: Path, most: int) -> dict[str, Any]:
    """The inner blocks as a worker computes them, in turns with the model alone over the tiles that each of them ran.

    Args:
        mosaic: a GeoTIFF.
        most: blocks.
    """
    model = shipped_model()
    detector = Detector.load(model, threads=1)
    path = worker.model_path(detector.sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, model.read_bytes())
    plan = plan_of(mosaic, detector)
    job = worker.Job(plan.grid, plan.tiling, None, detector.sha256, "onnxruntime", 1, code_version())
    tiles = list[NDArray[np.uint8]]()
    run_tile = Detector.run_tile

    def noted(self: Detector, tile: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        tiles.append(tile.copy())
        return run_tile(self, tile)

    outputs, bare_model = [str(name) for name in detector.contract.maps], detector._model
    worker._detector(job.model, job.threads, job.runtime).warm()
    detector.warm()
    ours, bare, pixels, count = np.zeros(2), np.zeros(2), 0, 0
    for one in _from_the_middle(plan.blocks)[:most]:
        Detector.run_tile = noted  # type: ignore[method-assign]  # what is counted is what was run
        begun = clocks()
        record = decode(worker.run_block(job, one, plan.there(one)))
        ours += clocks() - begun
        Detector.run_tile = run_tile  # type: ignore[method-assign]
        begun = clocks()
        for tile in tiles:
            bare_model.run(outputs, tile[None])
        bare += clocks() - begun
        pixels += record.pixels
        count += len(tiles)
        tiles.clear()
    return {
        "blocks": min(most, len(plan.blocks)),
        "tiles": count,
        "network_megapixels": pixels / 1e6,
        "cpu_seconds": ours[0],
        "bare_cpu_seconds": bare[0],
        "ratio_cpu": bare[0] / ours[0],
        "ratio_wall": bare[1] / ours[1],
        "tiles_run_for_one_that_lies_there": count / (pixels / plan.tiling.stride**2),
    }


def _from_the_middle(blocks: Sequence[Block]) -> list[Block]:
    middle = np.mean([(one.row, one.column) for one in blocks], axis=0)
    return sorted(blocks, key=lambda one: (one.row - middle[0]) ** 2 + (one.column - middle[1]) ** 2)


def plan_of(mosaic: Path, detector: Detector) -> Plan:
    """What a survey of this file would do."""
    gsd = detector.contract.gsd
    sources = find_sources([str(mosaic)], gsd)
    return make_plan(
        make_frame(sources, gsd).grid,
        make_layers(sources, {}),
        detector.contract,
        SurveyRequest(sources=(), out="").block,
        None,
    )


def whole_survey(mosaic: Path, out: Path, workers: int, threads: int) -> dict[str, Any]:
    """A survey as the command runs it, with what its workers took."""
    took: list[tuple[float, float]] = []
    clock: list[float] = []
    real = engine.cluster

    @contextmanager
    def measured(address: str, workers: int) -> Iterator[Client]:
        with real(address, workers) as client:
            client.run(_warm_imports)
            before = client.run(_usage)
            clock.append(time.perf_counter())
            yield client
            clock.append(time.perf_counter())
            took.extend((after[0] - before[name][0], after[1]) for name, after in client.run(_usage).items())

    run.cluster = measured  # type: ignore[attr-defined]  # the name that `run` looks up
    run.threads_per_worker = lambda *_: threads  # type: ignore[attr-defined]
    begun = clocks()
    request = SurveyRequest(sources=(str(mosaic),), out=str(out))
    told = run.run_survey(request, shipped_model(), runtime=get_settings().runtime, workers=workers)
    own = clocks() - begun
    kept = sorted((out / ".survey" / "blocks").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    seconds = [decode(file.read_bytes()).seconds for file in kept]
    # From the first block that ended to the last a worker that is alone has only the others to compute.
    between = (kept[-1].stat().st_mtime_ns - kept[0].stat().st_mtime_ns) / 1e9
    return {
        "blocks": told["blocks"]["count"],
        "network_megapixels": told["pixels"] / 1e6,
        "km2": told["km2"],
        "places": told["places"],
        "wall_seconds": own[1],
        "gathering_cpu_seconds": own[0],
        "worker_cpu_seconds": sum(one[0] for one in took),
        "worker_peak_mib": max(one[1] for one in took),
        "gathering_peak_mib": peak_mib(),
        "block_seconds": sum(seconds),
        "compute_seconds": clock[1] - clock[0],
        "share_between_blocks": 1 - sum(seconds[1:]) / between if workers == 1 and between else None,
    }


def clocks() -> NDArray[np.float64]:
    """Processor seconds of this process, and of the wall's clock."""
    return np.array([time.process_time(), time.perf_counter()])


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _usage() -> tuple[float, float]:
    return time.process_time(), peak_mib()


def _warm_imports() -> None:
    """What a worker imports for its first block, which is no block's cost."""
    import parking.survey.worker  # noqa: F401
