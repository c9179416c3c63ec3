"""Registries for the service's tests, named by how they behave."""

import shutil
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from parking.errors import NoVersionError, RegistryError
from parking.registry import PRODUCTION, Version


def version(number: int) -> Version:
    return Version("free-parking", number, None, (PRODUCTION,), {}, datetime.now(UTC))


class FlippingRegistry:
    """Has files by number and an alias that a test moves; 0 is no alias."""

    def __init__(self, files: dict[int, Path], serving: int = 0) -> None:
        self.files = files
        self.serving = serving
        self.fetched: list[int] = []
        self.kept: list[set[int]] = []

    def resolve(self, which: str = PRODUCTION) -> Version:
        if not self.serving:
            raise NoVersionError("The registry has no version 'production'. Promote one with `parking promote`.")
        return version(self.serving)

    def forget(self, keep: Collection[int], into: Path) -> None:
        self.kept.append(set(keep))

    def fetch(self, version: Version, into: Path) -> Path:
        self.fetched.append(version.number)
        into.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(self.files[version.number], into / f"{version.number}.onnx"))


class DownRegistry(FlippingRegistry):
    """Works until a test takes it down, and again when it is brought up."""

    down = False

    def resolve(self, which: str = PRODUCTION) -> Version:
        if self.down:
            raise RegistryError("MLflow at http://nowhere cannot be reached. Start it with `parking up`.")
        return super().resolve(which)


class SlowRegistry(FlippingRegistry):
    """Hands out version 2 only when the test lets go."""

    def __init__(self, files: dict[int, Path], serving: int = 0) -> None:
        super().__init__(files, serving)
        self.asked = threading.Event()
        self.release = threading.Event()

    def fetch(self, version: Version, into: Path) -> Path:
        if version.number == 2:
            self.asked.set()
            assert self.release.wait(20)
        return super().fetch(version, into)


class HangingRegistry(FlippingRegistry):
    """Answers nothing until the test lets go."""

    def __init__(self, files: dict[int, Path], serving: int = 0) -> None:
        super().__init__(files, serving)
        self.release = threading.Event()

    def resolve(self, which: str = PRODUCTION) -> Version:
        assert self.release.wait(20)
        return super().resolve(which)
