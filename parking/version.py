"""Which code made something."""

import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@lru_cache
def code_version() -> str:
    """The package's version, with the commit where the code runs from a checkout: `0.1.0+3f2a9c1` (`.dirty`)."""
    try:
        release = version("parking")
    except PackageNotFoundError:
        release = "0.0.0"
    commit = _commit(Path(__file__).resolve().parent.parent)
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
