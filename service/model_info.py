"""Description of the serving model."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from parking.detection.contract import Contract
from parking.detection.runtime import Runtime
from parking.settings import Settings
from service.model_slot import ModelSlot

__all__ = ["ModelInfo", "model_info"]

_NOT_SHOWN = {"golden_tile", "golden_grid", "learnt_from"}


class VersionChange(BaseModel):
    """A version that this process loaded or rejected."""

    time: datetime
    version: int
    result: Literal["remembered", "confirmed", "loaded", "rejected"]
    detail: str
    """Why it was rejected, or how it was loaded."""


class Limits(BaseModel):
    """Limits of one request."""

    upload_mb: float
    """Largest body, in MiB."""
    megapixels: float
    """Largest image, in million pixels."""
    seconds: float
    """Longest time to an answer."""


class ModelInfo(BaseModel):
    """The serving model: its version, how it was loaded, and its contract."""

    model_config = ConfigDict(protected_namespaces=(), use_attribute_docstrings=True)

    name: str
    """Of the registered model."""
    version: str | None
    """Number of the version that answers now; null until there is one."""
    loaded_at: datetime | None
    """Since when it does."""
    confirmed: bool
    """Whether the registry named this version since the process began; false while it is the one that served last on
    this machine, and the registry has not answered yet."""
    sha256: str | None
    """Of its file."""
    runtime: Runtime
    """What runs it."""
    contract: dict[str, object] | None
    """Its contract, without the golden tile that checks the file and the digests of its training scenes."""
    history: list[VersionChange]
    """The latest versions that this process loaded or rejected, newest first; at most 20."""
    rejected: dict[str, str]
    """Versions that failed their checks, and why."""
    last_error: str | None
    """What went wrong when the registry was asked last."""
    registry_ok: bool
    """Whether the registry answered last time."""
    limits: Limits
    """Of a request."""


def model_info(slot: ModelSlot, settings: Settings) -> ModelInfo:
    """All about the model in a slot."""
    loaded, status = slot.current, slot.status
    return ModelInfo(
        name=settings.model_name,
        version=loaded.label if loaded else None,
        loaded_at=loaded.loaded_at if loaded else None,
        confirmed=loaded.confirmed if loaded else False,
        sha256=loaded.detector.sha256 if loaded else None,
        runtime=settings.runtime,
        contract=_declared(loaded.detector.contract) if loaded else None,
        history=[
            VersionChange(time=change.time, version=change.version, result=change.result, detail=change.detail)
            for change in reversed(status.history.copy())
        ],
        rejected=status.reasons(),
        last_error=status.last_error,
        registry_ok=status.registry_ok,
        limits=Limits(
            upload_mb=settings.max_upload_mb,
            megapixels=settings.max_megapixels,
            seconds=settings.request_seconds,
        ),
    )


def _declared(contract: Contract) -> dict[str, object]:
    return contract.model_dump(mode="json", exclude=_NOT_SHOWN)
