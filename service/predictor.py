"""From the bytes of an image to an answer: decoding, inference and drawing, all away from the event loop."""

import asyncio
import contextvars
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import cv2
from loguru import logger
from PIL import Image

from monitoring.answers import make_answer_id
from monitoring.schema import make_row
from parking.data.bays import read_known_bays
from parking.data.imagery import Raster, encode_png, read_raster
from parking.detection.bay_answer import bays_to_geojson
from parking.errors import ImageTooLargeError
from parking.settings import Settings
from service.deadline import Deadline
from service.errors import NotReadyError
from service.feedback import Answers
from service.inference_log import InferenceLog
from service.limits import InferenceSlots
from service.metrics import Metrics
from service.model_slot import Loaded, ModelSlot
from service.query_params import QueryParams
from service.responses import DRAWING, Prediction, render
from service.uploads import Upload

__all__ = ["Predictor", "Question"]

T = TypeVar("T")

LARGE_SHARE = 0.25
"""Of the largest image that is taken; from there on an image runs beside smaller ones only."""
PREVIEW_SIDE = 2048
"""Longest side of a preview, in pixels: enough for a person, and little to send."""


@dataclass(frozen=True, slots=True)
class Question:
    """One image, and what is asked about it."""

    upload: Upload
    params: QueryParams
    form: str
    """Media type of the answer."""
    request_id: str


class Predictor:
    """Answers requests with the model in the slot, as many at once as there are inference slots."""

    def __init__(
        self, settings: Settings, slot: ModelSlot, log: InferenceLog, answers: Answers, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._log = log
        self._answers = answers
        self._metrics = metrics
        metrics.room.slots.set(settings.slots)
        self._slots = InferenceSlots(settings.slots, settings.queue, metrics.room)
        self._pool = ThreadPoolExecutor(settings.slots, thread_name_prefix="inference")
        self._running: set[object] = set()

    async def predict(self, question: Question, deadline: Deadline) -> tuple[Prediction, bytes]:
        """Find the free places of an image.

        Returns:
            The prediction, and the answer's body.

        Raises:
            NotReadyError: no model is loaded.
            BusyError: too many requests already wait.
            DeadlineError: it took too long.
            CallerGoneError: nobody wants the answer any more.
            ImageError: the bytes are no image that we read.
        """
        if self._slot.current is None:
            raise NotReadyError(self._slot.reason)
        large = self._is_large(question.upload)
        return await self._in_a_slot(deadline, lambda: self._answer(question, deadline), large)

    async def occupancy(self, upload: Upload, bays: Upload, params: QueryParams, deadline: Deadline) -> bytes:
        """Which bays of a layer are taken, as GeoJSON.

        Raises:
            BaysError: the layer cannot be used with this image.
            ModelError: the model that serves sees no vehicles.
            Else as `predict` does.
        """
        if self._slot.current is None:
            raise NotReadyError(self._slot.reason)
        large = self._is_large(upload)
        return await self._in_a_slot(deadline, lambda: self._read_bays(upload, bays, params, deadline), large)

    async def preview(self, upload: Upload, deadline: Deadline) -> bytes:
        """The image as a PNG of moderate size; raises as `predict` does."""
        return await self._in_a_slot(deadline, lambda: self._draw(upload), self._is_large(upload))

    def close(self, seconds: float = 2.0) -> None:
        """Wait a little for running work; its callers have had their answer that the service stops."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            time.sleep(0.01)

    def _is_large(self, upload: Upload) -> bool:
        """Whether no other of its kind should run beside it; what its header does not say is found out later."""
        try:
            with Image.open(io.BytesIO(upload.data)) as image:
                megapixels = image.width * image.height / 1e6
        except Exception:  # noqa: BLE001 - damaged in whatever way: what is wrong with it is said when it is read
            return False
        return megapixels > LARGE_SHARE * self._settings.max_megapixels

    async def _in_a_slot(self, deadline: Deadline, work: Callable[[], T], large: bool) -> T:
        async with self._slots.one(deadline, large=large):
            context = contextvars.copy_context()
            working = asyncio.get_running_loop().run_in_executor(self._pool, context.run, self._counted, work)
            return await working

    def _counted(self, work: Callable[[], T]) -> T:
        running = object()
        self._running.add(running)
        try:
            return work()
        finally:
            self._running.discard(running)

    def _answer(self, question: Question, deadline: Deadline) -> tuple[Prediction, bytes]:
        # Only now: a new version may have been loaded while this request waited.
        loaded = self._slot.current
        if loaded is None:
            raise NotReadyError(self._slot.reason)
        started = time.perf_counter()
        # A drawing has the size of the image.
        finest = None if question.form == DRAWING else loaded.detector.contract.gsd
        raster = self._read(question.upload, question.params, finest)
        self._check_scaled_size(raster, loaded)
        detection = loaded.detector.detect(
            raster,
            threshold=question.params.threshold,
            min_area_m2=question.params.min_area,
            assumed_gsd=self._settings.assumed_gsd or None,
            tta=question.params.tta,
            check=deadline.check,
        )
        if question.params.gsd is not None:
            detection = replace(detection, gsd_source="caller")
        detection = detection.in_file(raster)
        elapsed = (time.perf_counter() - started) * 1000
        now = datetime.now(UTC)
        answer_id = make_answer_id(question.request_id, now)
        prediction = Prediction(question.request_id, answer_id, now, loaded.label, raster, detection, elapsed)
        self._metrics.answers.megapixels.observe(raster.frame.width * raster.frame.height / 1e6)
        self._metrics.answers.places.observe(detection.count)
        for spot in detection.spots:
            self._metrics.answers.confidence.observe(spot.confidence)
        body = render(prediction, question.form)
        # Before the answer is sent: a caller who has one can rely on its log row, and can correct it.
        self._record(prediction)
        self._answers.keep(prediction, question.upload)
        return prediction, body

    def _record(self, prediction: Prediction) -> None:
        """Describe a prediction for the inference log."""
        found = prediction.detection
        try:
            row = make_row(
                found.seen,
                found.probability,
                found.spots,
                request_id=prediction.request_id,
                model_version=prediction.model_version,
                gsd=found.gsd,
                gsd_source=found.gsd_source,
                latency_ms=prediction.elapsed_ms,
                embedding=found.embedding,
                time=prediction.time,
                answer_id=prediction.answer_id,
            )
            self._log.add(row)
        except Exception:  # noqa: BLE001 - the caller gets the answer; a row that fails is counted
            self._metrics.log.lost.inc()
            logger.exception("No log row could be made")

    def _read_bays(self, upload: Upload, bays: Upload, params: QueryParams, deadline: Deadline) -> bytes:
        loaded = self._slot.current
        if loaded is None:
            raise NotReadyError(self._slot.reason)
        raster = self._read(upload, params)
        self._check_scaled_size(raster, loaded)
        known = read_known_bays(bays.data, bays.name, raster)
        assumed = self._settings.assumed_gsd or None
        rings = [bay.ring for bay in known.bays]
        read = loaded.detector.occupancy(raster, rings, assumed_gsd=assumed, tta=params.tta, check=deadline.check)
        return json.dumps(bays_to_geojson(known, read, raster, loaded.label)).encode()

    def _draw(self, upload: Upload) -> bytes:
        pixels = self._read(upload).pixels
        height, width = pixels.shape[:2]
        scale = PREVIEW_SIDE / max(height, width)
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype("uint8", copy=False)
        return encode_png(pixels)

    def _read(self, upload: Upload, params: QueryParams | None = None, finest: float | None = None) -> Raster:
        return read_raster(
            upload.data,
            name=upload.name,
            max_megapixels=self._settings.max_megapixels,
            stretch=params.stretch_values if params else None,
            gsd=params.gsd if params else None,
            finest=finest,
        )

    def _check_scaled_size(self, raster: Raster, loaded: Loaded) -> None:
        """A coarse image grows when it is scaled to the model's resolution; refuse it before it fills the memory."""
        scale = (raster.gsd or loaded.detector.contract.gsd) / loaded.detector.contract.gsd
        megapixels = raster.width * raster.height * scale**2 / 1e6
        if megapixels > self._settings.max_megapixels:
            raise ImageTooLargeError(
                f"'{raster.name}' has {raster.gsd:.3g} m a pixel; at the model's {loaded.detector.contract.gsd:.3g} m "
                f"it would have {megapixels:.0f} megapixels, over {self._settings.max_megapixels:g}. "
                "Cut it into parts, or give a finer image."
            )
