"""The model that comes with the package: finds free places before anyone has trained anything."""

from pathlib import Path

from loguru import logger

from parking.errors import ModelError
from parking.registry import Registry, Version
from parking.tracking import Tracker

SHIPPED = Path(__file__).with_name("models") / "shipped.onnx"


def shipped_model() -> Path:
    """The shipped model file.

    Raises:
        ModelError: this installation lacks it.
    """
    if not SHIPPED.is_file():
        raise ModelError(f"The shipped model {SHIPPED} is missing: install the package again, or name a model file.")
    return SHIPPED


def register_shipped(registry: Registry, tracker: Tracker) -> Version | None:
    """Make the shipped model the first version of an empty registry, and let it serve.

    Returns:
        The version; None where the registry has versions already, whatever serves.
    """
    from parking.detection.contract import read_contract

    if registry.history():
        return None
    model = shipped_model()
    contract = read_contract(model)
    tags = {"dataset_version": contract.dataset_version, "code_version": contract.code_version, "origin": "shipped"}
    with tracker.run("shipped", tags=tags) as run:
        run.metrics(contract.scores)
        version = registry.register(model, run_id=run.id, tags=tags)
    logger.info("The registry was empty: the shipped model is version {}.", version.number)
    return registry.promote(version.number, reason="The first version: the model that ships.", by="parking")
