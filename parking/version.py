"""Which code made something."""

import os
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = [
    "REVISION",
    "code_version",
]

REVISION = "CODE_REVISION"
"""Variable in which an image says the commit that it was built of."""


@lru_cache
def code_version() -> str:
    """The package's version, with the commit of a checkout or an image: `0.1.0+3f2a9c1` (`.dirty`)."""
    try:
        release = version("parking")
    except PackageNotFoundError:
        release = "0.0.0"
    commit = os.environ.get(REVISION, "")[:7] or _commit(Path(__file__).resolve().parent.parent)
    return f"{release}+{commit}" if commit else release


def _commit(folder: Path) -> str:
    """The checkout's commit; nothing for an installed package, which may lie inside a checkout of something else."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty=.dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
