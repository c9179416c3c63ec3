"""The model that comes with the package: finds free places before anyone has trained anything."""

from pathlib import Path

from loguru import logger

from parking.errors import ModelError, NoVersionError
from parking.registry import PRODUCTION, REFERENCE_FILE, Registry, Version, reference_beside
from parking.settings import Settings
from parking.tracking import Tracker

__all__ = ["SHIPPED", "StockedRegistry", "has_no_registry", "register_shipped", "shipped_model", "shipped_reference"]

SHIPPED = Path(__file__).with_name("models") / "shipped.onnx"


def shipped_model() -> Path:
    """The shipped model file.

    Raises:
        ModelError: this installation lacks it.
    """
    if not SHIPPED.is_file():
        raise ModelError(f"The shipped model {SHIPPED} is missing: install the package again, or name a model file.")
    return SHIPPED


def shipped_reference() -> Path:
    """What the shipped model's drift is measured against: numbers of the scenes that it learnt from, no imagery.

    Raises:
        ModelError: this installation lacks it.
    """
    file = reference_beside(SHIPPED)
    if not file.is_file():
        raise ModelError(f"The shipped model's reference {file} is missing: install the package again.")
    return file


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
        version = registry.register(model, run_id=run.id, tags=tags, extras={REFERENCE_FILE: shipped_reference()})
    logger.info("The registry was empty: the shipped model is version {}.", version.number)
    return registry.promote(version.number, reason="The first version: the model that ships.", by="parking")


class StockedRegistry(Registry):
    """A registry that takes the shipped model as its first version where it is found empty."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.tracking_uri, settings.model_name)
        self._tracker = Tracker(settings.tracking_uri, settings.model_name, settings.artifact_dir)

    def resolve(self, which: str = PRODUCTION) -> Version:
        """Finds a version; raises as `Registry.resolve` does, and ModelError where the shipped model is missing."""
        try:
            return super().resolve(which)
        except NoVersionError:
            if which != PRODUCTION or register_shipped(self, self._tracker) is None:
                raise
            return super().resolve(which)


def has_no_registry(settings: Settings) -> bool:
    """Whether there is no registry at all yet: it would be a file on this machine, and is not there."""
    file = settings.tracking_uri.removeprefix("sqlite:///")
    return file != settings.tracking_uri and not Path(file).exists()
