"""A registry for tests of the daily run."""

from pathlib import Path

from parking.errors import NoVersionError
from parking.files import write_whole
from parking.registry import REFERENCE_FILE, Registry, Version
from tests.monitoring.rows import NOON


class FakeRegistry(Registry):
    """A registry in memory: versions and their references, without MLflow."""

    def __init__(self, references: dict[str, bytes | None]) -> None:
        super().__init__("unused", "parking")
        self._references = references

    def resolve(self, which: str = "production") -> Version:
        if which not in self._references:
            raise NoVersionError(f"There is no version {which}.")
        return Version("parking", int(which), None, (), {}, NOON)

    def fetch_extra(self, version: Version, name: str, into: Path) -> Path | None:
        content = self._references[str(version.number)]
        if content is None or name != REFERENCE_FILE:
            return None
        into.mkdir(parents=True, exist_ok=True)
        file = into / name
        write_whole(file, content)
        return file
