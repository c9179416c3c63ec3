"""Where a run keeps what it has done so far, so that the same run started again goes on from there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parking.settings import get_settings


def workdir(name: str) -> Path:
    """The folder of a run that goes by this name; made where there is none."""
    folder = get_settings().state_dir / "work" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def until_done(name: str) -> Iterator[Path]:
    """A run's folder, which goes once the block ends well; whatever stops it, what was done stays for the next try."""
    folder = workdir(name)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
