"""State of the service, for `/health`."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from service.model_slot import ModelSlot

__all__ = ["Health", "health_of"]


class Health(BaseModel):
    """The state of one process, for a person."""

    model_config = ConfigDict(protected_namespaces=(), use_attribute_docstrings=True)

    status: Literal["ready", "not ready"]
    """`ready` when a model is loaded and warm."""
    model_version: str | None
    """Number of the version that answers now."""
    loaded_at: datetime | None
    """Since when it does."""
    confirmed: bool
    """Whether the registry has named this version since the start; false while it is only the one that served last."""
    last_error: str | None
    """What went wrong when the registry was asked last; the service may answer all the same."""
    registry_ok: bool
    """Whether the registry answered last time."""
    rejected: dict[str, str]
    """Versions that failed their checks, and why."""
    uptime_seconds: float
    """Since the process started."""


def health_of(slot: ModelSlot, started: datetime) -> Health:
    """The health of a process that started then and serves from this slot."""
    loaded = slot.current
    return Health(
        status="ready" if loaded else "not ready",
        model_version=loaded.label if loaded else None,
        loaded_at=loaded.loaded_at if loaded else None,
        confirmed=loaded.confirmed if loaded else False,
        last_error=slot.status.last_error,
        registry_ok=slot.status.registry_ok,
        rejected=slot.status.reasons(),
        uptime_seconds=round((datetime.now(UTC) - started).total_seconds(), 1),
    )
