"""The version that served last, kept in the state folder: a new process answers with it while the registry is asked."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from parking.errors import ModelError
from parking.files import write_whole
from parking.mlflow_client import without_password
from parking.registry import PRODUCTION, Version
from parking.settings import Settings
from parking.shipped import shipped_model

__all__ = ["LastServedFile", "last_served_file", "remember_shipped"]


class LastServed(BaseModel):
    """A version, and the file on this machine that it was served from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Registry and model that it is a version of."""
    version: Version
    file: Path
    sha256: str
    """Of the file, when it served."""

    def check(self) -> None:
        """Raises ModelError where the file is no longer the one that served."""
        try:
            found = hashlib.sha256(self.file.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"{self.file} cannot be read ({error.strerror or error}).") from error
        if found != self.sha256:
            raise ModelError(f"{self.file} has the checksum {found[:12]}, not {self.sha256[:12]} as when it served.")


class LastServedFile:
    """Keeps the version that served last, of one registry, in one file."""

    def __init__(self, file: Path, source: str) -> None:
        """A file that outlives the process.

        Args:
            file: where it is kept.
            source: registry and model; the version of another one is not used.
        """
        self._file = file
        self._source = source

    def keep(self, version: Version, file: Path, sha256: str) -> None:
        """Keep this version instead of the one before; if the disk is full, the next start is only slower."""
        last = LastServed(source=self._source, version=version, file=file.resolve(), sha256=sha256)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, last.model_dump_json(indent=1).encode())
        except OSError as error:
            logger.warning(
                "Version {} is not kept for the next start: {} ({})",
                version.number,
                self._file,
                error.strerror or error,
            )

    def read(self) -> LastServed | None:
        """What was kept last; None where there is nothing, or nothing of this registry that can be read."""
        try:
            last = LastServed.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            logger.warning("{} cannot be read and is left alone: {}", self._file, error)
            return None
        return last if last.source == self._source else None


def last_served_file(settings: Settings) -> LastServedFile:
    """The file in which a deployment keeps the version that served last."""
    source = f"{settings.model_name} at {without_password(settings.tracking_uri, settings.tracking_uri)}"
    return LastServedFile(settings.state_dir / "remembered.json", source)


def remember_shipped(settings: Settings) -> None:
    """Keep the shipped model as version 1: that is what it becomes where there is no registry yet.

    Raises:
        ModelError: this installation lacks it.
    """
    file = shipped_model()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    tags = {"origin": "shipped", "sha256": sha256}
    version = Version(settings.model_name, 1, None, (PRODUCTION,), tags, datetime.now(UTC))
    last_served_file(settings).keep(version, file, sha256)
