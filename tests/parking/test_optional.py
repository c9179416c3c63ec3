"""What may be missing is told with the group that has it; the table of groups must be pyproject's."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from parking.errors import RegistryError
from parking.mlflow_client import mlflow_client
from parking.optional import GROUPS, group_of, not_installed, required
from tests.test_architecture import ROOT, imports_of

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def roots(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(file)}


def imported() -> set[str]:
    """Modules of others that our code imports, but for those that serving has."""
    serving = {canonicalize_name(Requirement(one).name) for one in PYPROJECT["project"]["dependencies"]}
    brought = {"starlette", "botocore", "requests", "typing_extensions", "yaml"}  # by those of serving
    ours = {"parking", "monitoring", "flows", "service", "cli"}
    names = {name for room in ours for file in (ROOT / room).rglob("*.py") for name in roots(file)}
    owners = packages_distributions()
    return {
        name
        for name in names - ours - brought
        if name in owners and not serving & {canonicalize_name(owner) for owner in owners[name]}
    }


def test_every_module_that_may_be_missing_is_known() -> None:
    names = imported()
    assert {"torch", "prefect", "evidently"} <= names
    assert {name for name in names if group_of(name) is None} == set()


def test_the_groups_are_those_of_pyproject() -> None:
    assert set(GROUPS) <= set(PYPROJECT["dependency-groups"])


def test_what_serving_has_is_never_told_to_be_missing() -> None:
    assert not_installed("It", "numpy") is None
    with pytest.raises(ModuleNotFoundError):
        required("parking.nothing", "It")


def test_a_registry_that_cannot_be_read_is_not_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("parking.mlflow_client.is_installed", lambda _: False)
    file = tmp_path / "mlflow.db"
    with pytest.raises(RegistryError, match="needs sqlalchemy"), mlflow_client(f"sqlite:///{file}"):
        pass
    assert not file.exists()
