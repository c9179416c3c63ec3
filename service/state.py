"""The parts of one running service, and the order in which they start and stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache

from parking.settings import Settings
from parking.storage import Store, open_store
from service.drift_history import EVERY_SECONDS, Nights
from service.feedback import Answers
from service.inference_log import InferenceLog
from service.last_served import memory_of
from service.metrics import Metrics
from service.model_slot import ModelSlot, Versions
from service.predictor import Predictor
from service.rate_limit import Pace
from service.spool import Spool


class ServiceState:
    """What the routes work with."""

    def __init__(self, settings: Settings, registry: Versions) -> None:
        self.settings = settings
        self.started = datetime.now(UTC)
        self.stopping = False
        """Whether the process was told to stop: it ends what runs, and no more should come."""
        self.metrics = Metrics()
        self.pace = Pace(settings.rate_limit)
        self.slot = ModelSlot(
            registry,
            settings.state_dir / "models",
            memory_of(settings),
            self.metrics,
            threads=settings.threads,
            at_once=settings.slots,
            runtime=settings.runtime,
            every_seconds=settings.reload_seconds,
        )

        @cache
        def store() -> Store:
            """Opened once for all, when it is first needed; again after a failure, which is not kept."""
            return open_store(settings.store_url, settings.state_dir / "cache")

        most_bytes = int(settings.log_spool_mb * 2**20)
        self.metrics.log.spool_limit.set(most_bytes)
        spool = Spool(settings.state_dir / "inference-log", most_bytes=most_bytes)
        self._log = InferenceLog(store, spool, self.metrics, every_seconds=settings.log_flush_seconds)
        self.nights = Nights(store, self.metrics, every_seconds=EVERY_SECONDS)
        self.answers = Answers(store, settings, self.metrics)
        self.predictor = Predictor(settings, self.slot, self._log, self.metrics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the registry and write the log; at the end finish what runs, then write the last rows."""
        self.slot.start()
        self._log.start()
        self.nights.start()
        try:
            yield
        finally:
            for stop in (self.nights.stop, self.slot.stop, self.predictor.close, self.answers.close, self._log.close):
                await asyncio.to_thread(stop)
