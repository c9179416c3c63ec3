"""The metrics of the service, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

__all__ = ["Metrics", "RoomMetrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one application; each has its own, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = RequestMetrics(self.registry)
        self.room = RoomMetrics(self.registry)
        self.model = ModelMetrics(self.registry)
        self.answers = AnswerMetrics(self.registry)
        self.log = LogMetrics(self.registry)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMetrics:
    """Requests and their duration."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answered = Counter(
            "parking_requests_total", "Requests answered.", ["route", "status", "model_version"], registry=registry
        )
        self.seconds = Histogram(
            "parking_request_seconds",
            "Time to answer.",
            ["route", "model_version"],
            buckets=_SECONDS,
            registry=registry,
        )


class RoomMetrics:
    """How much of the limits is used; see `service.limits`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.slots = Gauge("parking_slots", "Inferences that may run at once.", registry=registry)
        self.waiting = Gauge("parking_waiting", "Requests that wait for a slot.", registry=registry)
        self.running = Gauge("parking_running", "Inferences under way.", registry=registry)
        self.upload_bytes = Gauge(
            "parking_upload_bytes", "Bodies of the requests under way, as far as they have come.", registry=registry
        )
        self.shed = Counter(
            "parking_shed_total", "Requests refused: the queue, or the room for uploads, was full.", registry=registry
        )


class ModelMetrics:
    """Which version serves, and whether the registry says so."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reloads = Counter(
            "parking_reloads_total",
            "Versions that came: remembered, confirmed, loaded or rejected.",
            ["result"],
            registry=registry,
        )
        self.version = Gauge("parking_model_version", "Number of the version that serves.", registry=registry)
        self.loaded = Gauge(
            "parking_model_loaded_timestamp_seconds", "When the serving version took over.", registry=registry
        )
        self.trained = Gauge(
            "parking_model_trained_timestamp_seconds", "When the serving version was trained.", registry=registry
        )
        self.confirmed = Gauge(
            "parking_model_confirmed",
            "1 if the registry has named the serving version since the start, 0 if it is the one that served last.",
            registry=registry,
        )
        self.registry_up = Gauge("parking_registry_up", "1 if the registry answered last time.", registry=registry)


class AnswerMetrics:
    """Images, answers and corrections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.megapixels = Histogram(
            "parking_image_megapixels",
            "Size of the images asked about.",
            buckets=(0.1, 0.25, 1, 4, 16, 64),
            registry=registry,
        )
        self.places = Histogram(
            "parking_places", "Free places found in an image.", buckets=(0, 1, 3, 10, 30, 100), registry=registry
        )
        self.confidence = Histogram(
            "parking_confidence",
            "Confidence of the places found.",
            buckets=tuple(tenth / 10 for tenth in range(1, 11)),
            registry=registry,
        )
        self.feedback = Counter("parking_feedback_total", "Answers corrected.", ["verdict"], registry=registry)
        self.lost = Counter(
            "parking_answers_lost_total", "Answers that could not be kept for corrections.", registry=registry
        )


class LogMetrics:
    """Rows of the inference log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.written = Counter("parking_log_rows_written_total", "Log rows in the store.", registry=registry)
        self.lost = Counter("parking_log_rows_lost_total", "Log rows dropped.", registry=registry)
        self.pending = Gauge("parking_log_rows_pending", "Log rows not yet in the store.", registry=registry)
        self.spool_bytes = Gauge(
            "parking_log_spool_bytes", "Size of the log rows kept on this machine.", registry=registry
        )
        self.spool_limit = Gauge(
            "parking_log_spool_limit_bytes", "Size from which the oldest waiting rows are dropped.", registry=registry
        )
