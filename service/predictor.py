"""From the bytes of an image to an answer: decoding, inference and drawing, all away from the event loop."""

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

from loguru import logger

from monitoring.schema import make_row
from parking.data.imagery import read_raster
from parking.settings import Settings
from service.answers import Prediction, render
from service.errors import NotReadyError
from service.inference_log import InferenceLog
from service.limits import InferenceSlots
from service.metrics import Metrics
from service.model_slot import Loaded, ModelSlot


class Predictor:
    """Answers requests with the model in the slot, as many at once as there are inference slots."""

    def __init__(self, settings: Settings, slot: ModelSlot, log: InferenceLog, metrics: Metrics) -> None:
        self._settings = settings
        self._slot = slot
        self._log = log
        self._metrics = metrics
        self._slots = InferenceSlots(settings.slots, settings.queue, metrics)
        self._pool = ThreadPoolExecutor(settings.slots, thread_name_prefix="inference")

    async def predict(self, data: bytes, name: str, form: str, request_id: str) -> tuple[Prediction, bytes]:
        """Find the free places of an image.

        Args:
            data: the file's bytes.
            name: what messages call it.
            form: media type of the answer.
            request_id: of the request.

        Returns:
            The prediction, and the answer's body.

        Raises:
            NotReadyError: no model is loaded.
            BusyError: too many requests already wait.
            ImageError: the bytes are no image that we read.
        """
        if self._slot.current is None:
            raise NotReadyError(self._slot.reason)
        async with self._slots.one():
            # Read it again: a new version may have come while this request waited.
            loaded = self._slot.current
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, context.run, self._work, loaded, data, name, form, request_id
            )

    def log(self, prediction: Prediction) -> None:
        """Describe a prediction for the inference log; takes milliseconds, so it comes after the answer."""
        found = prediction.detection
        try:
            row = make_row(
                prediction.raster.pixels,
                found.probability,
                found.spots,
                request_id=prediction.request_id,
                model_version=prediction.model_version,
                gsd=found.gsd,
                gsd_source=found.gsd_source,
                latency_ms=prediction.elapsed_ms,
            )
        except Exception:  # noqa: BLE001 - the caller has the answer; a row that fails is counted
            self._metrics.log_lost.inc()
            logger.exception("No log row could be made")
        else:
            self._log.add(row)

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown()

    def _work(self, loaded: Loaded, data: bytes, name: str, form: str, request_id: str) -> tuple[Prediction, bytes]:
        started = time.perf_counter()
        raster = read_raster(data, name=name, max_megapixels=self._settings.max_megapixels)
        detection = loaded.detector.detect(raster, assumed_gsd=self._settings.assumed_gsd)
        elapsed = (time.perf_counter() - started) * 1000
        self._metrics.megapixels.observe(raster.width * raster.height / 1e6)
        self._metrics.places.observe(detection.count)
        prediction = Prediction(request_id, loaded.label, raster, detection, elapsed)
        return prediction, render(prediction, form)
