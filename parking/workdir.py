"""Where a run keeps what it has done so far, so that the same run started again goes on from there."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parking.lock import alone_in
from parking.settings import get_settings

__all__ = ["until_done", "workdir"]


def workdir(name: str) -> Path:
    """The folder of a run that goes by this name; made where there is none."""
    folder = get_settings().state_dir / "work" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def until_done(name: str) -> Iterator[Path]:
    """A run's folder, which goes once the block ends well; whatever stops it, what was done stays for the next try.

    Raises:
        FolderError: the same run is under way.
    """
    folder = workdir(name)
    with alone_in(folder):
        yield folder
        # Out of the way in one step: the same run may begin at once, and must not find half of it.
        done = folder.rename(folder.with_name(f".{name}-{uuid.uuid4().hex}"))
    shutil.rmtree(done, ignore_errors=True)
