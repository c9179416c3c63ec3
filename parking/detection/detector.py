"""Free places in a raster, by a model file, on ONNX Runtime."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.imagery import Raster, resample
from parking.data.polygons import Ring
from parking.data.tiles import in_all_orientations, stitch
from parking.detection.contract import STRIDE, Contract, parse_contract
from parking.detection.count import count_interval, map_uncertainty
from parking.detection.detection import Detection, Reading, ScaledReading
from parking.detection.golden import check_golden, decode_tile
from parking.detection.occupancy import Bay, read_bays
from parking.detection.onnx_model import Signature
from parking.detection.places import find_places, find_vehicles
from parking.detection.runtime import Model, Runtime, open_model
from parking.detection.scale import COARSE_GSD, COARSER, NEARLY, USUAL_GSD, Scale, estimate
from parking.detection.spots import find_spots, never_stop, rules_for, stretch
from parking.errors import ImageTooLargeError, ModelError

__all__ = ["EXTRA_OUTPUTS", "ONE_SCALE", "Detector"]

INPUT = ("tiles", "tensor(uint8)")
EXTRA_OUTPUTS = ("size", "embedding")
"""Outputs that a model may have besides its maps, a row a tile: log of the size of its places in pixels, and where the
scene lies among the training scenes."""

BATCH = 1
"""Tiles an inference. On a CPU more at once are no faster and take that many times the memory."""

ONE_SCALE = (1.0,)

LARGEST = 64e6
"""Pixels at the model's resolution up to which an image is read at one that is only guessed."""


class Detector:
    """A loaded model that keeps its contract. Safe to use from several threads at once."""

    def __init__(self, model: Model, contract: Contract, sha256: str) -> None:
        self._model = model
        present = {name for name, _ in model.signature.outputs}
        self._extras = [name for name in EXTRA_OUTPUTS if name in present]
        self._outputs = [*contract.maps, *self._extras]
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
        _check_signature(model.signature, contract, path.name)
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
        """The chance that a pixel is free, (H, W) of the raster, in [0, 1]; see `read`."""
        return _fit(self.read(raster, tta=tta, check=check).probability, raster)

    def read(
        self,
        raster: Raster,
        *,
        tta: bool = False,
        scales: Sequence[float] = ONE_SCALE,
        check: Callable[[], None] = never_stop,
    ) -> Reading:
        """Run the network over a raster.

        Args:
            raster: resampled to the contract's ground resolution where its own is known, else taken as it is.
            tta: average the answers to eight flips and turns: a little better and eight times slower.
            scales: sizes at which the raster is read, in those of the contract's ground resolution; the maps are
                averaged. More than one finds more, and costs the sum of their squares.
            check: called before every run of the model; what it raises ends the work.
        """
        scaled = resample(raster, self.contract.gsd)
        readings = [self._read(_resized(scaled.pixels, by), tta, check) for by in scales]
        size = (scaled.width, scaled.height)
        maps = {name: _mean([_fit_map(one.maps[name], size) for one in readings]) for name in self.contract.maps}
        if scaled.mask is not None:
            for values in maps.values():
                values[~scaled.mask] = 0.0
        return replace(readings[0], maps=maps)

    def detect(
        self,
        raster: Raster,
        *,
        threshold: float | None = None,
        min_area_m2: float | None = None,
        assumed_gsd: float | None = None,
        tta: bool = False,
        scales: Sequence[float] = ONE_SCALE,
        check: Callable[[], None] = never_stop,
    ) -> Detection:
        """Find the free places of a raster, and its vehicles.

        Args:
            raster: any size from 1x1.
            threshold: instead of the contract's; larger gives fewer and surer places.
            min_area_m2: instead of the contract's.
            assumed_gsd: metres per pixel of a raster that does not say it; left out, it is estimated.
            tta: see `read`.
            scales: see `read`.
            check: called often on the way; what it raises ends the work.
        """
        changes = {"threshold": threshold, "min_area_m2": min_area_m2}
        contract = self.contract.model_copy(update={k: v for k, v in changes.items() if v is not None})
        found = self.read_scaled(raster, assumed_gsd, tta, scales, check)
        scaled, reading = found.raster, found.reading
        across, down = raster.width / scaled.width, raster.height / scaled.height
        ground = found.scale.gsd * math.sqrt(across * down)
        # Places are told apart at the contract's resolution: the same ground gives the same places.
        if contract.bays:
            # The contract as it is says what its own threshold amounts to for cores.
            own = contract.model_copy(update={"threshold": self.contract.threshold})
            spots = find_places(reading.maps, own, ground, threshold=threshold, check=check)
        else:
            # A raster that knows its ground resolution knows how large a usual place is, and need not guess.
            size_px = None if raster.gsd else reading.size_px
            # The least area is in the square metres that the answer gives.
            rules = replace(rules_for(contract, contract.gsd), min_area_px=contract.min_area_m2 / ground**2)
            spots = find_spots(reading.probability, scaled.pixels, rules, ground, size_px=size_px, check=check)
        vehicles = find_vehicles(reading.maps, contract, ground, check=check) if contract.vehicles else None
        return Detection(
            spots=stretch(spots, across, down),
            count=len(spots),
            count_interval=count_interval(len(spots), contract.count, uncertainty=map_uncertainty(reading.probability)),
            probability=_fit(reading.probability, raster),
            gsd=found.scale.gsd,
            gsd_source=found.scale.source,
            imagery_date=raster.acquired,
            threshold=contract.threshold,
            seen=scaled.pixels,
            embedding=reading.embedding,
            vehicles=None if vehicles is None else stretch(vehicles, across, down),
            gsd_spread=found.scale.spread,
        )

    def occupancy(
        self,
        raster: Raster,
        bays: Sequence[Ring],
        *,
        assumed_gsd: float | None = None,
        tta: bool = False,
        check: Callable[[], None] = never_stop,
    ) -> tuple[Bay, ...]:
        """Which of the bays that somebody knows are taken.

        Args:
            raster: that the bays lie in.
            bays: outlines in its pixels, each at least partly inside.
            assumed_gsd: see `detect`.
            tta: see `read`.
            check: called before every run of the model.

        Raises:
            ModelError: the model sees no vehicles.
        """
        if self.contract.known_bays is None:
            raise ModelError(
                "This model sees no vehicles, so it cannot say which bays are taken. Use the model that ships, or "
                "train one on scenes with vehicles."
            )
        found = self.read_scaled(raster, assumed_gsd, tta, ONE_SCALE, check)
        across, down = found.raster.width / raster.width, found.raster.height / raster.height
        scaled = [tuple((x * across, y * down) for x, y in ring) for ring in bays]
        read = read_bays(found.reading.maps, scaled, self.contract.known_bays)
        return tuple(replace(bay, ring=tuple(ring)) for bay, ring in zip(read, bays, strict=True))

    def read_scaled(
        self,
        raster: Raster,
        assumed_gsd: float | None = None,
        tta: bool = False,
        scales: Sequence[float] = ONE_SCALE,
        check: Callable[[], None] = never_stop,
    ) -> ScaledReading:
        """A raster read at the contract's resolution; its own is estimated where nobody says it.

        Args:
            raster: any size from 1x1.
            assumed_gsd: see `detect`.
            tta: see `read`.
            scales: see `read`.
            check: called before every run of the model.

        Raises:
            ImageTooLargeError: it would have too many pixels at the model's resolution.
        """
        contract = self.contract
        if raster.gsd or contract.vehicle_length_m is None:
            known = Scale(raster.gsd or assumed_gsd or contract.gsd, "file" if raster.gsd else "assumed")
            scaled = resample(raster, contract.gsd)
            return ScaledReading(scaled, known, self.read(scaled, tta=tta, scales=scales, check=check))
        if assumed_gsd:
            return self._read_at(raster, Scale(assumed_gsd, "assumed"), tta, scales, check)
        first = self._read_at(raster, Scale(USUAL_GSD, "assumed"), False, ONE_SCALE, check)
        guess = self._estimate(first)
        if guess.source != "vehicles" and (guess.source == "assumed" or guess.gsd > COARSER * USUAL_GSD):
            # Vehicles that are half as large as expected are not seen: look again as if the image were coarse.
            assumed = Scale(min(COARSE_GSD, self._coarsest(raster)), "assumed")
            coarse = self._read_at(raster, assumed, False, ONE_SCALE, check)
            if (seen := self._estimate(coarse)).source == "vehicles":
                first, guess = coarse, seen
        if abs(guess.gsd / first.scale.gsd - 1) > NEARLY:
            first = self._read_at(raster, guess, False, ONE_SCALE, check)
            # Vehicles are seen best near the resolution that they were learnt at: the second look is the better one.
            guess = better if (better := self._estimate(first)).source == "vehicles" else guess
        if not tta and scales == ONE_SCALE and abs(guess.gsd / first.scale.gsd - 1) <= NEARLY:
            return replace(first, scale=guess)
        return self._read_at(raster, guess, tta, scales, check)

    def _read_at(
        self, raster: Raster, scale: Scale, tta: bool, scales: Sequence[float], check: Callable[[], None]
    ) -> ScaledReading:
        if scale.gsd > self._coarsest(raster):
            how = "as assumed" if scale.source == "assumed" else f"by its {scale.source}"
            megapixels = raster.width * raster.height * (scale.gsd / self.contract.gsd) ** 2 / 1e6
            raise ImageTooLargeError(
                f"'{raster.name}' seems to have {scale.gsd:.2g} m a pixel, {how}: at the model's "
                f"{self.contract.gsd:.3g} m it would have {megapixels:.0f} megapixels, over {LARGEST / 1e6:.0f}. "
                "Say its resolution, `gsd`, or cut it into parts."
            )
        scaled = resample(replace(raster, gsd=scale.gsd), self.contract.gsd)
        return ScaledReading(scaled, scale, self.read(scaled, tta=tta, scales=scales, check=check))

    def _coarsest(self, raster: Raster) -> float:
        """Metres a pixel that a raster may be guessed to have: no guess makes it larger than `LARGEST`."""
        return self.contract.gsd * max(1.0, math.sqrt(LARGEST / (raster.width * raster.height)))

    def _estimate(self, found: ScaledReading) -> Scale:
        """The resolution of a raster that was read, by what was seen in it."""
        return estimate(found.reading.maps, found.reading.size_px, self.contract, found.scale)

    def _read(self, pixels: NDArray[np.uint8], tta: bool, check: Callable[[], None]) -> Reading:
        """What the network says of pixels that have its resolution."""
        contract = self.contract
        extras: list[NDArray[np.float32]] = []

        def run(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            check()
            maps, extra = self._run(tiles)
            extras.append(extra)
            return maps

        predict = in_all_orientations(run) if tta else run
        stitched = stitch(pixels, predict, tile=contract.tile, overlap=contract.overlap, batch=BATCH, multiple=STRIDE)
        extra = np.concatenate(extras).mean(axis=0, dtype=np.float64)
        sized = "size" in self._extras
        return Reading(
            maps=dict(zip(contract.maps, stitched, strict=True)),
            # The mean of logs.
            size_px=math.exp(extra[0]) if sized else None,
            embedding=tuple(float(value) for value in extra[sized:]),
        )

    def run_tile(self, tile: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """The maps of one tile of the contract's size, (tile, tile) each, from its pixels, (tile, tile, 3)."""
        pixels = np.ascontiguousarray(tile)[None]
        return tuple(np.asarray(one, np.float32)[0] for one in self._model.run(list(self.contract.maps), pixels))

    def _run(self, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps (N, H, W, K), and all else side by side, (N, M)."""
        answers = [np.asarray(o, np.float32) for o in self._model.run(self._outputs, tiles)]
        count = len(self.contract.maps)
        nothing = np.empty((len(tiles), 0), np.float32)
        extras = [nothing, *(extra.reshape(len(tiles), -1) for extra in answers[count:])]
        return np.stack(answers[:count], axis=-1), np.concatenate(extras, axis=1)

    def _answer_golden(self, name: str) -> NDArray[np.float32]:
        tile = decode_tile(self.contract.golden_tile)
        try:
            answer, extra = self._run(tile[None])
        except Exception as error:
            raise ModelError(f"{name} cannot answer its golden tile ({error}). Export it again.") from error
        if answer.shape[:3] != (1, *tile.shape[:2]):
            raise ModelError(f"{name} answers a tile of {tile.shape[:2]} with {answer.shape}. Export it again.")
        if not np.isfinite(extra).all():
            raise ModelError(f"{name} says NaN or infinity of its golden tile: its weights are broken. Train it again.")
        return np.asarray(answer[0, :, :, 0], np.float32)


def _fit(probability: NDArray[np.float32], raster: Raster) -> NDArray[np.float32]:
    """The map at the size of the raster; 0 where it has no data."""
    fitted = _fit_map(probability, (raster.width, raster.height))
    if raster.mask is not None and fitted is not probability:
        fitted[~raster.mask] = 0.0
    return fitted


def _mean(maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Without a copy where there is but one: a map of a large image has a quarter of a gigabyte."""
    return maps[0] if len(maps) == 1 else np.asarray(np.mean(maps, axis=0), np.float32)


def _fit_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    if values.shape == size[::-1]:
        return values
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _resized(pixels: NDArray[np.uint8], by: float) -> NDArray[np.uint8]:
    if by == 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * by)), max(1, round(pixels.shape[0] * by)))
    method = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=method).astype(np.uint8, copy=False)


def _check_signature(signature: Signature, contract: Contract, name: str) -> None:
    needed = {(output, "tensor(float)") for output in contract.maps}
    if signature.inputs != (INPUT,) or not needed <= {*signature.outputs}:
        raise ModelError(
            f"{name} takes {signature.inputs} and gives {signature.outputs}; a model of ours takes {INPUT} and gives "
            f"{sorted(needed)}. Export it with `parking train`."
        )
