"""The parts of one running service, and the order in which they start and stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache

from parking.settings import Settings
from parking.storage import Store, open_store
from service.answer_buffer import AnswerBuffer
from service.drift_history import EVERY_SECONDS, DriftHistory, DriftMetrics
from service.feedback import Answers
from service.inference_log import FLUSH_SECONDS, InferenceLog
from service.last_served import last_served_file
from service.log_buffer import ROWS_PER_MIB, LogBuffer
from service.metrics import Metrics
from service.model_slot import ModelSlot, Versions
from service.predictor import Predictor
from service.rate_limit import RateLimit
from service.survey_imagery import TileReader

__all__ = ["ServiceState"]


class ServiceState:
    """What the routes work with."""

    def __init__(self, settings: Settings, registry: Versions) -> None:
        self.settings = settings
        self.started = datetime.now(UTC)
        self.stopping = False
        """Whether the process is stopping: it finishes the requests that run, and takes no more."""
        self.metrics = Metrics()
        self.rate_limit = RateLimit(settings.rate_limit)
        self.slot = ModelSlot(
            registry,
            settings.state_dir / "models",
            last_served_file(settings),
            self.metrics,
            threads=settings.threads,
            at_once=settings.slots,
            runtime=settings.runtime,
            every_seconds=settings.reload_seconds,
        )

        @cache
        def store() -> Store:
            """Opened once for all, when it is first needed; again after a failure, which is not kept."""
            return open_store(settings.store_url)

        self.metrics.log.spool_limit.set(settings.log_spool_mb * 2**20)
        folder = settings.state_dir / "inference-log"
        buffer = LogBuffer(folder, most_rows=max(1, int(settings.log_spool_mb * ROWS_PER_MIB)))
        self._log = InferenceLog(store, buffer, self.metrics, every_seconds=FLUSH_SECONDS)
        drift_metrics = DriftMetrics()
        self.metrics.registry.register(drift_metrics)
        self.drift_history = DriftHistory(store, drift_metrics, every_seconds=EVERY_SECONDS)
        self.answers = Answers(store, AnswerBuffer(folder), settings, self.metrics)
        self.tiles = TileReader()
        self.predictor = Predictor(settings, self.slot, self._log, self.answers, self.metrics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the registry and write the log; at the end let go of what runs, and write the last rows."""
        self.slot.start()
        self._log.start()
        self.answers.start()
        self.drift_history.start()
        try:
            yield
        finally:
            # Each gives up after a few seconds, all of them in less than Kubernetes leaves after the requests' grace.
            await asyncio.to_thread(self.predictor.close)
            self.tiles.close()
            stops = (self._log.close, self.answers.close, self.slot.stop, self.drift_history.stop)
            await asyncio.gather(*(asyncio.to_thread(stop) for stop in stops))

    def stop(self) -> None:
        """Note that the process stops, and start to write the log; returns at once."""
        self.stopping = True
        self._log.wake()
