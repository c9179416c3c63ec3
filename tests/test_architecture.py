"""The rooms of ARCHITECTURE.md: nothing imports upwards."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "parking": set[str](),
    "monitoring": {"parking"},
    "flows": {"parking", "monitoring"},
    "service": {"parking", "monitoring"},
    "cli": {"parking", "monitoring", "flows", "service"},
}
BANNED = {
    "parking": {"fastapi", "starlette", "uvicorn", "prefect", "typer"},
    "monitoring": {"fastapi", "starlette", "prefect", "torch"},
    "service": {"torch", "prefect", "evidently", "optuna", "albumentations", "pandas"},
}


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    forbidden = (set(MAY_IMPORT) - MAY_IMPORT[room] - {room}) | BANNED.get(room, set())
    found = {f"{file.relative_to(ROOT)} imports {name}" for file in files for name in imports_of(file)}
    assert not {line for line in found if line.split()[-1] in forbidden}
