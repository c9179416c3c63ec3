"""Tools from npm that tests use: `tests/tools/install` fetches them; where they are not, their tests are skipped."""

from pathlib import Path

import pytest

MODULES = Path(__file__).parent / "node_modules"


def node_tool(name: str) -> Path:
    """A file of an installed package, such as `axe-core/axe.min.js`; skips the test where it is not installed."""
    file = MODULES / name
    if not file.exists():
        pytest.skip(f"there is no {name}: fetch it with tests/tools/install, which needs npm")
    return file
