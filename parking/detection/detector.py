"""Free places in a raster, by a model file, on ONNX Runtime."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.imagery import Raster, resample
from parking.data.tiles import in_all_orientations, stitch
from parking.detection.contract import Contract, parse_contract
from parking.detection.golden import check_golden, decode_tile
from parking.detection.onnx_model import Signature
from parking.detection.runtime import Model, Runtime, open_model
from parking.detection.spots import Spot, count_interval, find_spots, never_stop, rules_for, stretch
from parking.errors import ModelError

INPUT = ("tiles", "tensor(uint8)")
OUTPUT = ("probability", "tensor(float)")
GLANCE = ("size", "embedding")
"""Outputs that a model may have besides, a row a tile: log of the size of its places in pixels, and its look."""

BATCH = 1
"""Tiles an inference. On a CPU more at once are no faster and take that many times the memory."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in one raster."""

    spots: tuple[Spot, ...]
    count: int
    count_interval: tuple[int, int]
    """Bounds for the number of places there are, at 80 %; as measured with the contract's threshold and least area."""

    probability: NDArray[np.float32]
    """(H, W) of the raster, the chance that a pixel is free parking."""

    gsd: float
    """Metres per pixel that the areas were computed with."""

    gsd_source: Literal["file", "caller", "assumed"]
    """Who said so."""

    imagery_date: date | None
    threshold: float
    seen: NDArray[np.uint8]
    """(h, w, 3) RGB as the network saw it: the raster at the contract's ground resolution, where its own is known."""

    embedding: tuple[float, ...] = ()
    """Where its look lies among the training scenes', in their standard deviations; empty if the model has none."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says of one raster."""

    probability: NDArray[np.float32]
    """(H, W), the chance that a pixel is free parking."""

    size_px: float | None
    """Root of the area that places seem to have, in pixels that the network saw; None if it says nothing of it."""

    embedding: tuple[float, ...]
    """See `Detection`."""


class Detector:
    """A loaded model that keeps its contract. Safe to use from several threads at once."""

    def __init__(self, model: Model, contract: Contract, sha256: str) -> None:
        self._model = model
        present = {name for name, _ in model.signature.outputs}
        self._outputs = [OUTPUT[0], *(name for name in GLANCE if name in present)]
        self.contract = contract
        self.sha256 = sha256

    @classmethod
    def load(cls, path: Path, *, threads: int = 0, at_once: int = 1, runtime: Runtime = "onnxruntime") -> "Detector":
        """Load a model file and try it on its golden tile.

        Args:
            path: an exported model.onnx.
            threads: CPU threads of all inferences together; 0 for all cores.
            at_once: inferences that may be under way; they share the threads.
            runtime: what runs the model.

        Raises:
            ModelError: the file is no model, carries no valid contract, or answers its golden tile otherwise than
                when it was exported.
            SettingsError: the runtime is not installed.
        """
        model = open_model(path, runtime=runtime, threads=threads, at_once=at_once)
        contract = parse_contract(model.metadata, path.name)
        _check_signature(model.signature, path.name)
        detector = cls(model, contract, hashlib.sha256(path.read_bytes()).hexdigest())
        check_golden(detector._answer_golden(path.name), contract.golden_grid, path.name, model.tolerance)
        return detector

    def warm(self) -> None:
        """Run once at the size that requests use, so that the first request does not pay for it."""
        side = self.contract.tile
        self._model.warm(self._outputs, np.zeros((BATCH, side, side, 3), np.uint8))

    def probability(
        self, raster: Raster, *, tta: bool = False, check: Callable[[], None] = never_stop
    ) -> NDArray[np.float32]:
        """The probability map of a raster, (H, W) in [0, 1]; see `read`."""
        return self.read(raster, tta=tta, check=check).probability

    def read(self, raster: Raster, *, tta: bool = False, check: Callable[[], None] = never_stop) -> Reading:
        """Run the network over a raster.

        Args:
            raster: resampled to the contract's ground resolution where its own is known, else taken as it is.
            tta: average the answers to eight flips and turns: a little better and eight times slower.
            check: called before every run of the model; what it raises ends the work.
        """
        reading = self._look(resample(raster, self.contract.gsd), tta=tta, check=check)
        return replace(reading, probability=_fit(reading.probability, raster))

    def detect(
        self,
        raster: Raster,
        *,
        threshold: float | None = None,
        min_area_m2: float | None = None,
        assumed_gsd: float | None = None,
        tta: bool = False,
        check: Callable[[], None] = never_stop,
    ) -> Detection:
        """Find the free places of a raster.

        Args:
            raster: any size from 1x1.
            threshold: instead of the contract's; larger gives fewer and surer places.
            min_area_m2: instead of the contract's.
            assumed_gsd: metres per pixel that areas are given with where the raster does not say; the contract's
                when left out. Such a raster is read as it is, whatever is assumed.
            tta: see `probability`.
            check: called often on the way; what it raises ends the work.
        """
        changes = {"threshold": threshold, "min_area_m2": min_area_m2}
        contract = self.contract.model_copy(update={k: v for k, v in changes.items() if v is not None})
        gsd = raster.gsd or assumed_gsd or contract.gsd
        # Places are cut at the resolution that the cuts were learnt at: the same ground gives the same places.
        scaled = resample(raster, contract.gsd)
        reading = self._look(scaled, tta=tta, check=check)
        across, down = raster.width / scaled.width, raster.height / scaled.height
        ground = gsd * math.sqrt(across * down)
        # The least area is in the square metres that the answer gives.
        rules = replace(rules_for(contract, contract.gsd), min_area_px=contract.min_area_m2 / ground**2)
        # A raster that knows its ground resolution knows how large a usual place is, and need not guess.
        size_px = None if raster.gsd else reading.size_px
        found = find_spots(reading.probability, scaled.pixels, rules, ground, size_px=size_px, check=check)
        spots = stretch(found, across, down)
        return Detection(
            spots=spots,
            count=len(spots),
            count_interval=count_interval(len(spots), contract.count),
            probability=_fit(reading.probability, raster),
            gsd=gsd,
            gsd_source="file" if raster.gsd else "assumed",
            imagery_date=raster.acquired,
            threshold=contract.threshold,
            seen=scaled.pixels,
            embedding=reading.embedding,
        )

    def _look(self, scaled: Raster, *, tta: bool, check: Callable[[], None]) -> Reading:
        """What the network says of a raster that has its resolution."""
        contract = self.contract
        glances: list[NDArray[np.float32]] = []

        def run(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            check()
            probability, glance = self._run(tiles)
            glances.append(glance)
            return probability

        predict = in_all_orientations(run) if tta else run
        stitched = stitch(scaled.pixels, predict, tile=contract.tile, overlap=contract.overlap, batch=BATCH)
        if scaled.mask is not None:
            stitched[~scaled.mask] = 0.0
        return self._reading(stitched, np.concatenate(glances).mean(axis=0, dtype=np.float64))

    def _reading(self, probability: NDArray[np.float32], glance: NDArray[np.float64]) -> Reading:
        """The map with the mean of what was said of the tiles; their size is a mean of logs."""
        sized = "size" in self._outputs
        embedding = tuple(float(value) for value in glance[sized:])
        return Reading(probability, math.exp(glance[0]) if sized else None, embedding)

    def _run(self, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (N, H, W), and all else side by side, (N, K)."""
        probability, *glances = (np.asarray(o, np.float32) for o in self._model.run(self._outputs, tiles))
        nothing = np.empty((len(tiles), 0), np.float32)
        return probability, np.concatenate([nothing, *(glance.reshape(len(tiles), -1) for glance in glances)], axis=1)

    def _answer_golden(self, name: str) -> NDArray[np.float32]:
        tile = decode_tile(self.contract.golden_tile)
        try:
            answer, glance = self._run(tile[None])
        except Exception as error:
            raise ModelError(f"{name} cannot answer its golden tile ({error}). Export it again.") from error
        if answer.shape != (1, *tile.shape[:2]):
            raise ModelError(f"{name} answers a tile of {tile.shape[:2]} with {answer.shape}. Export it again.")
        if not np.isfinite(glance).all():
            raise ModelError(f"{name} says NaN or infinity of its golden tile: its weights are broken. Train it again.")
        return np.asarray(answer[0], np.float32)


def _fit(probability: NDArray[np.float32], raster: Raster) -> NDArray[np.float32]:
    """The map at the size of the raster; 0 where it has no data."""
    if probability.shape == (raster.height, raster.width):
        return probability
    size = (raster.width, raster.height)
    fitted = np.asarray(cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    if raster.mask is not None:
        fitted[~raster.mask] = 0.0
    return fitted


def _check_signature(signature: Signature, name: str) -> None:
    if signature.inputs != (INPUT,) or OUTPUT not in signature.outputs:
        raise ModelError(
            f"{name} takes {signature.inputs} and gives {signature.outputs}; a model of ours takes {INPUT} and gives "
            f"{OUTPUT}. Export it with `parking train`."
        )
