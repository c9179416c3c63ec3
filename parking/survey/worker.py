"""The task of a Dask worker: one block, from its sources to rows. It is idempotent, and any worker may run it."""

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from distributed import Worker, WorkerPlugin
from rasterio.errors import RasterioError

from parking.detection.detector import Detector
from parking.detection.runtime import Runtime
from parking.errors import SurveyError
from parking.files import write_whole
from parking.survey.blocks import Block, BlockContent, KnownBay, core_of, survey_block
from parking.survey.grid import Grid
from parking.survey.mosaic import Layer
from parking.survey.records import BlockRecord, bays_of, cells_of, encode, rows_of
from parking.survey.tiling import Tiling
from parking.version import code_version


class VersionError(SurveyError):
    """A worker runs another version of the code than the client."""


@dataclass(frozen=True, slots=True)
class Job:
    """The settings of all blocks of a run."""

    grid: Grid
    tiling: Tiling
    threshold: float | None
    model: str
    """SHA-256 of the model file, which the plugin distributes."""
    runtime: Runtime
    threads: int
    code: str
    """Code version of the client."""


class ModelPlugin(WorkerPlugin):
    """Distributes the model file to every worker, also to those that join later."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.name = f"parking-model-{self.sha256[:16]}"

    def setup(self, worker: Worker | None = None) -> None:
        """Write the file, once for each machine."""
        path = model_path(self.sha256)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, self.data)


def model_path(sha256: str) -> Path:
    """The model file on a worker's machine, in a folder of the user's own: others may share the temporary one."""
    return Path(tempfile.gettempdir()) / f"parking-survey-{os.getuid()}" / f"{sha256}.onnx"


def run_block(job: Job, block: Block, layers: tuple[Layer, ...], bays: tuple[KnownBay, ...] = ()) -> bytes:
    """One block as a Parquet file, see `records.encode`.

    Raises:
        VersionError: this worker runs other code.
        ModelError: the model cannot be opened here.
        SurveyError: a source cannot be read.
    """
    if job.code != code_version():
        raise VersionError(
            f"A worker runs version {code_version()} of the code and this command {job.code}: "
            "start the workers from the same image."
        )
    begun = time.monotonic()
    detector = _detector(job.model, job.threads, job.runtime)
    content = _content(detector, job, block, layers, bays)
    left, top, _, _ = core_of(block, job.tiling)
    record = BlockRecord(
        rows=rows_of(content, layers, job.grid),
        pixels=int(np.count_nonzero(content.valid)),
        tiles=content.tiles,
        seconds=time.monotonic() - begun,
        cells=cells_of(content.valid, left, top, job.grid),
        bays=bays_of(content, layers, job.grid),
    )
    return encode(record)


def _content(
    detector: Detector, job: Job, block: Block, layers: tuple[Layer, ...], bays: tuple[KnownBay, ...]
) -> BlockContent:
    try:
        return survey_block(detector, layers, job.grid, job.tiling, block, job.threshold, bays)
    except RasterioError as error:
        cause = _first_cause(error)
    # Outside of the handler: the error would otherwise carry GDAL's own, which cannot be pickled.
    raise SurveyError(f"Its imagery cannot be read: {cause}")


def _first_cause(error: BaseException) -> str:
    """GDAL's first message, which names the file."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


@lru_cache(maxsize=2)
def _detector(sha256: str, threads: int, runtime: Runtime) -> Detector:
    return Detector.load(model_path(sha256), threads=threads, runtime=runtime)
