"""The rooms of ARCHITECTURE.md: nothing imports upwards, and no imports go in a circle.

Every import counts, also one inside a function or under `TYPE_CHECKING`. Such an import is cheaper or later, but
whoever reads or moves one of the two modules still needs the other.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
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


Graph = dict[str, set[str]]
"""What each module or folder imports."""


def imports_of(file: Path) -> Iterator[str]:
    """Dotted names that a file imports; of `from a import b` it is `a.b`, whether `b` is a module or not."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_graph(root: Path, rooms: Iterable[str]) -> Graph:
    """The modules of the rooms, and which of them each imports. A package is the module of its `__init__.py`."""
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for room in rooms
        for file in (root / room).rglob("*.py")
    }

    def module_of(name: str) -> str:
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name

    return {
        name: {module for found in imports_of(file) if (module := module_of(found))} - {name}
        for name, file in files.items()
    }


def folder_graph(modules: Graph) -> Graph:
    """The same by folder inside a room, such as `parking.data`; a module beside the folders stands for itself."""

    def folder_of(name: str) -> str:
        return ".".join(name.split(".")[:2])

    graph: Graph = {}
    for name, imported in modules.items():
        others = {folder_of(one) for one in imported} - {folder_of(name)}
        graph.setdefault(folder_of(name), set()).update(others)
    return graph


def circle_in(graph: Graph) -> str:
    """One circle, as `a -> b -> a`; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # `graphlib` names each one after what it is imported by.
        return " -> ".join(reversed(error.args[1]))
    return ""


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    forbidden = (set(MAY_IMPORT) - MAY_IMPORT[room] - {room}) | BANNED.get(room, set())
    found = {(file.relative_to(ROOT), name.split(".")[0]) for file in files for name in imports_of(file)}
    assert not [f"{file} imports {name}" for file, name in found if name in forbidden]


@pytest.fixture(scope="module")
def modules() -> Graph:
    return module_graph(ROOT, MAY_IMPORT)


def test_no_modules_import_each_other_in_a_circle(modules: Graph) -> None:
    assert len(modules) > 100
    assert not circle_in(modules)


def test_no_folders_import_each_other_in_a_circle(modules: Graph) -> None:
    folders = folder_graph(modules)
    assert {"parking.data", "parking.learning", "parking.settings"} <= set(folders)
    assert not circle_in(folders)


@pytest.mark.parametrize(
    "late",
    [
        "from room.sub.a import x",
        "import room.sub.a",
        "from room.sub import a",
        "if TYPE_CHECKING:\n    from room.sub.a import x",
        "def f():\n    from room.sub import a",
    ],
)
def test_a_circle_is_found_and_named_however_it_is_imported(tmp_path: Path, late: str) -> None:
    sub = tmp_path / "room" / "sub"
    sub.mkdir(parents=True)
    for name, text in {"__init__": "", "a": "from room.sub import b", "b": "import room.sub.c", "c": late}.items():
        (sub / f"{name}.py").write_text(text)
    told = circle_in(module_graph(tmp_path, {"room": set()}))
    assert sorted(told.split(" -> ")[1:]) == ["room.sub.a", "room.sub.b", "room.sub.c"]
    assert "room.sub.a -> room.sub.b" in told
    (sub / "c.py").write_text("import os")
    assert not circle_in(module_graph(tmp_path, {"room": set()}))


def test_what_another_folder_imports_of_a_module_is_in_its_list_of_public_names() -> None:
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for room in MAY_IMPORT
        for file in (ROOT / room).rglob("[!_]*.py")
    }
    public = {module: public_names(file) for module, file in files.items()}
    unlisted = {
        f"{node.module}: {alias.name}"
        for file in files.values()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in files
        # A folder's own parts, and those of the folders in it, may know more of each other.
        if not files[node.module].is_relative_to(file.parent)
        for alias in node.names
        if public[node.module] and alias.name not in public[node.module]
    }
    assert not unlisted, "\n".join(sorted(unlisted))


def public_names(file: Path) -> set[str]:
    """What a module lists in `__all__`; nothing where it has none."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_exist(page: str) -> None:
    """A name without a folder is in the folder before it, or at the top of `parking`."""
    folder, named = ROOT / "parking", []
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        folder = folder if line else ROOT / "parking"
        for name in re.findall(r"`([a-z_0-9/]+\.py)`", line):
            folder = (ROOT / name).parent if "/" in name else folder
            named.append(folder / name.rpartition("/")[2])
    assert len(named) > 5
    assert not [str(file.relative_to(ROOT)) for file in named if not file.is_file()]
