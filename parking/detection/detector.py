"""Free places in a raster, by a model file, on ONNX Runtime."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parking.data.imagery import Raster, resample
from parking.data.tiles import in_all_orientations, stitch
from parking.detection.contract import Contract, open_session, parse_contract
from parking.detection.golden import check_golden, decode_tile
from parking.detection.spots import Spot, count_interval, find_spots, never_stop, rules_for
from parking.errors import ModelError

INPUT = ("tiles", "tensor(uint8)")
OUTPUT = ("probability", "tensor(float)")

BATCH = 1
"""Tiles an inference. On a CPU more at once are no faster and take that many times the memory."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in one raster."""

    spots: tuple[Spot, ...]
    count: int
    count_interval: tuple[int, int]
    """Bounds for the number of places there are, at 80 %."""

    probability: NDArray[np.float32]
    """(H, W) of the raster, the chance that a pixel is free parking."""

    gsd: float
    """Metres per pixel that the areas were computed with."""

    gsd_source: Literal["file", "assumed"]
    imagery_date: date | None
    threshold: float


class Detector:
    """A loaded model that keeps its contract. Safe to use from several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession, contract: Contract, sha256: str) -> None:
        self._session = session
        self.contract = contract
        self.sha256 = sha256

    @classmethod
    def load(cls, path: Path, *, threads: int = 0) -> "Detector":
        """Load a model file and try it on its golden tile.

        Args:
            path: an exported model.onnx.
            threads: CPU threads of one inference; 0 for all cores.

        Raises:
            ModelError: the file is no model, carries no valid contract, or answers its golden tile otherwise than
                when it was exported.
        """
        session = open_session(path, threads=threads)
        contract = parse_contract(session.get_modelmeta().custom_metadata_map, path.name)
        _check_signature(session, path.name)
        detector = cls(session, contract, hashlib.sha256(path.read_bytes()).hexdigest())
        check_golden(detector._answer_golden(path.name), contract.golden_grid, path.name)
        return detector

    def warm(self) -> None:
        """Run once at the size that requests use, so that the first request does not pay for it."""
        side = self.contract.tile
        self._run(np.zeros((BATCH, side, side, 3), np.uint8))

    def probability(
        self, raster: Raster, *, tta: bool = False, check: Callable[[], None] = never_stop
    ) -> NDArray[np.float32]:
        """The probability map of a raster, at the raster's own size.

        Args:
            raster: resampled to the contract's ground resolution where its own is known, else taken as it is.
            tta: average the answers to eight flips and turns: a little better and eight times slower.
            check: called before every run of the model; what it raises ends the work.

        Returns:
            (H, W) in [0, 1].
        """
        contract = self.contract
        scaled = resample(raster, contract.gsd)

        def run(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            check()
            return self._run(tiles)

        predict = in_all_orientations(run) if tta else run
        stitched = stitch(scaled.pixels, predict, tile=contract.tile, overlap=contract.overlap, batch=BATCH)
        if stitched.shape == (raster.height, raster.width):
            return stitched
        resized = cv2.resize(stitched, (raster.width, raster.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.float32)

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
        probability = self.probability(raster, tta=tta, check=check)
        gsd = raster.gsd or assumed_gsd or contract.gsd
        spots = find_spots(probability, rules_for(contract, raster.gsd or contract.gsd), gsd, check=check)
        return Detection(
            spots=spots,
            count=len(spots),
            count_interval=count_interval(len(spots), contract.count),
            probability=probability,
            gsd=gsd,
            gsd_source="file" if raster.gsd else "assumed",
            imagery_date=raster.acquired,
            threshold=contract.threshold,
        )

    def _run(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        (probability,) = self._session.run([OUTPUT[0]], {INPUT[0]: tiles})
        return np.asarray(probability, np.float32)

    def _answer_golden(self, name: str) -> NDArray[np.float32]:
        tile = decode_tile(self.contract.golden_tile)
        try:
            answer = self._run(tile[None])
        except Exception as error:
            raise ModelError(f"{name} cannot answer its golden tile ({error}). Export it again.") from error
        if answer.shape != (1, *tile.shape[:2]):
            raise ModelError(f"{name} answers a tile of {tile.shape[:2]} with {answer.shape}. Export it again.")
        return np.asarray(answer[0], np.float32)


def _check_signature(session: onnxruntime.InferenceSession, name: str) -> None:
    inputs = [(value.name, value.type) for value in session.get_inputs()]
    outputs = [(value.name, value.type) for value in session.get_outputs()]
    if inputs != [INPUT] or OUTPUT not in outputs:
        raise ModelError(
            f"{name} takes {inputs} and gives {outputs}; a model of ours takes {INPUT} and gives {OUTPUT}. "
            "Export it with `parking train`."
        )
