"""The model that serves, exchanged while it serves: the registry's alias is the only switch."""

import random
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from loguru import logger

from parking.detection.detector import Detector
from parking.detection.runtime import Runtime
from parking.errors import ModelError, NoVersionError, ParkingError
from parking.registry import PRODUCTION, Version
from service.last_served import LastServedFile
from service.metrics import Metrics

__all__ = ["Loaded", "ModelSlot", "Versions"]

LONGEST_DELAY = 30.0
"""Longest interval between two requests to a registry that does not answer, in seconds."""


class Versions(Protocol):
    """What the slot needs from a registry."""

    def resolve(self, which: str = PRODUCTION) -> Version:
        """The version that an alias names."""

    def fetch(self, version: Version, into: Path) -> Path:
        """Its model file."""

    def forget(self, keep: Collection[int], into: Path) -> None:
        """Removes the fetched files of other versions."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that serves. A request keeps the one it began with."""

    detector: Detector
    version: Version
    file: Path
    loaded_at: datetime
    confirmed: bool = True
    """Whether the registry has named this version since the start; the one that served last may serve earlier."""

    @property
    def label(self) -> str:
        """The version's number, as answers and log rows give it."""
        return str(self.version.number)


@dataclass(frozen=True, slots=True)
class Change:
    """A version that was loaded or rejected."""

    time: datetime
    version: int
    result: Literal["remembered", "confirmed", "loaded", "rejected"]
    detail: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a version was rejected."""

    reason: str
    sha256: str
    """Of its file: a new registry may use the same number again."""


@dataclass(slots=True)
class SlotStatus:
    """State of the slot besides its model."""

    registry_ok: bool = False
    last_error: str | None = None
    rejected: dict[int, Rejection] = field(default_factory=dict)
    """Versions that failed their checks; they are not tried again while their file is the same."""
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=20))
    """The latest versions that were loaded or rejected, oldest first."""

    def reasons(self) -> dict[str, str]:
        """Why versions were rejected, by number; a copy, for the slot's own thread may reject another meanwhile."""
        return {str(number): one.reason for number, one in self.rejected.copy().items()}


class ModelSlot:
    """Holds the serving model, and follows the alias in a thread of its own.

    A new version is fetched, checked and warmed while the old one serves; then one reference is swapped. The first
    is the one that served last on this machine: to open a registry takes many seconds, or it may be down.
    """

    def __init__(
        self,
        registry: Versions,
        cache: Path,
        last_served: LastServedFile,
        metrics: Metrics,
        *,
        threads: int,
        at_once: int,
        runtime: Runtime,
        every_seconds: float,
    ) -> None:
        """A slot that is empty until `start`, or until the first `poll`.

        Args:
            registry: says which version is production, and gives its file.
            cache: folder for downloaded files.
            last_served: the file that names the version that served last.
            metrics: where reloads are counted.
            threads: CPU threads of all inferences together; 0 for all cores.
            at_once: inferences that may be under way.
            runtime: what runs the model.
            every_seconds: time between two requests for the alias.
        """
        self._registry = registry
        self._cache = cache
        self._last_served = last_served
        self._metrics = metrics
        self._threads = threads
        self._at_once = at_once
        self._runtime: Runtime = runtime
        self._every = every_seconds
        self._failures = 0
        self._random = random.Random()  # noqa: S311 - spreads load, needs no secrecy
        self._before: Loaded | None = None
        self._polling = threading.Lock()
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="model-slot", daemon=True)
        self.status = SlotStatus()
        self.current: Loaded | None = None

    def start(self) -> None:
        """Start to follow the alias."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; it does not wait for a load that is under way."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout=1.0)

    def wake(self) -> None:
        """Poll the alias at once instead of at the next interval; does not wait for it."""
        self._woken.set()

    @property
    def reason(self) -> str:
        """Why there is no model yet."""
        return self.status.last_error or "The first model is being loaded. Try again in a few seconds."

    def poll(self) -> None:
        """Poll the alias once, and load the version that it names if that is new."""
        with self._polling:
            self._poll()

    def recall(self) -> None:
        """Serve the version that served last, until the registry confirms it or names another."""
        last = self._last_served.read()
        if last is None:
            return
        version = last.version
        try:
            last.check()
            detector = self._load(last.file)
        except Exception as error:  # noqa: BLE001 - whatever it is, the registry can still be asked
            said = error if isinstance(error, ParkingError) else repr(error)
            self._note(f"Version {version.number}, which served last, must be fetched from the registry again: {said}")
            return
        loaded = Loaded(detector, version, last.file, datetime.now(UTC), confirmed=False)
        self._serve(loaded, "remembered", "It served last; the registry is being asked.")

    def _poll(self) -> None:
        try:
            version = self._registry.resolve(PRODUCTION)
            self._registry_answers(True)
            self._follow_to(version)
        except NoVersionError as error:
            self._registry_answers(True)
            self._note(str(error))
        except ParkingError as error:
            self._registry_answers(False)
            self._note(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, this thread must live to try again
            self._note(f"The model cannot be reloaded: {error!r}. It is tried again.")
            self._failures += 1

    def _follow(self) -> None:
        self.recall()
        while not self._stopped.is_set():
            self._woken.clear()
            self.poll()
            self._woken.wait(self._pause())

    def _pause(self) -> float:
        """Longer after each failure, with jitter: many pods must not ask at the same time."""
        delay: float = min(self._every * 2.0 ** min(self._failures, 10), max(LONGEST_DELAY, self._every))
        return delay * self._random.uniform(0.8, 1.2)

    def _follow_to(self, version: Version) -> None:
        """Serve what the registry names, unless it does already, or was refused before."""
        if self._was_rejected(version):
            self._note(self._rejection(version))
        elif self.current is None or not _is_same(self.current.version, version):
            self._take(version)
        elif self.current.confirmed:
            self.status.last_error = None
        else:
            self._swap(replace(self.current, version=version, confirmed=True), "confirmed", "The registry names it.")

    def _was_rejected(self, version: Version) -> bool:
        rejection = self.status.rejected.get(version.number)
        return rejection is not None and rejection.sha256 == version.tags.get("sha256", "")

    def _take(self, version: Version) -> None:
        """Serve a version: the one before, kept for a rollback, at once; another when it has passed its checks."""
        before = self._before
        if before is not None and _is_same(before.version, version):
            again = replace(before, version=version, loaded_at=datetime.now(UTC), confirmed=True)
            self._swap(again, "loaded", "It had served before.")
            return
        try:
            file = self._registry.fetch(version, self._cache)
            detector = self._load(file)
        except ModelError as error:
            self.status.rejected[version.number] = Rejection(str(error), version.tags.get("sha256", ""))
            self._metrics.model.reloads.labels("rejected").inc()
            self.status.history.append(Change(datetime.now(UTC), version.number, "rejected", str(error)))
            self._note(self._rejection(version))
            return
        self.status.rejected.pop(version.number, None)
        self._swap(Loaded(detector, version, file, datetime.now(UTC)), "loaded", "It passed its checks.")
        self._registry.forget(self._needed(), self._cache)

    def _needed(self) -> set[int]:
        """Versions whose files a rollback or the next start may want."""
        held = (self.current, self._before, self._last_served.read())
        return {one.version.number for one in held if one is not None}

    def _load(self, file: Path) -> Detector:
        detector = Detector.load(file, threads=self._threads, at_once=self._at_once, runtime=self._runtime)
        detector.warm()
        return detector

    def _swap(self, loaded: Loaded, result: Literal["confirmed", "loaded"], detail: str) -> None:
        """Serve what the registry names, and keep it for the next start."""
        self._serve(loaded, result, detail)
        self._last_served.keep(loaded.version, loaded.file, loaded.detector.sha256)

    def _serve(self, loaded: Loaded, result: Literal["remembered", "confirmed", "loaded"], detail: str) -> None:
        if result != "confirmed":
            self._before = self.current
        self.current = loaded
        self.status.last_error = None
        self.status.history.append(Change(datetime.now(UTC), loaded.version.number, result, detail))
        self._metrics.model.reloads.labels(result).inc()
        self._metrics.model.version.set(loaded.version.number)
        self._metrics.model.loaded.set(loaded.loaded_at.timestamp())
        self._metrics.model.trained.set(loaded.detector.contract.trained.timestamp())
        self._metrics.model.confirmed.set(loaded.confirmed)
        logger.info("Version {} of {} serves now: {}", loaded.version.number, loaded.version.name, detail)

    def _rejection(self, version: Version) -> str:
        return f"Version {version.number} was refused: {self.status.rejected[version.number].reason}"

    def _registry_answers(self, ok: bool) -> None:
        self.status.registry_ok = ok
        self._metrics.model.registry_up.set(ok)
        self._failures = 0 if ok else self._failures + 1

    def _note(self, text: str) -> None:
        if text != self.status.last_error:
            logger.warning("{}", text)
        self.status.last_error = text


def _is_same(one: Version, other: Version) -> bool:
    """A new registry may use the same number again."""
    return (one.number, one.tags.get("sha256")) == (other.number, other.tags.get("sha256"))
