"""Free parking places in images of the ground from above.

from parking import load_model

load_model().detect("photo.tif").to_geodataframe()
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parking.model import ParkingModel, load_model
    from parking.result import Result

__all__ = ["ParkingModel", "Result", "load_model"]

_HOMES = {"ParkingModel": "parking.model", "Result": "parking.result", "load_model": "parking.model"}


def __getattr__(name: str) -> object:
    """Imported when first used: `parking --help` must not wait for a runtime of neural networks."""
    if name not in _HOMES:
        raise AttributeError(f"module 'parking' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
