"""Store, registry and tracker of one deployment, opened when first used."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from parking.registry import Registry
from parking.settings import Settings, get_settings
from parking.storage import Store, open_store
from parking.tracking import Tracker

__all__ = [
    "Workspace",
    "open_workspace",
]


@dataclass(frozen=True)
class Workspace:
    """Where this deployment keeps its things; commands, flows and the service share it."""

    settings: Settings

    @cached_property
    def store(self) -> Store:
        """Datasets, inference logs and reports."""
        return open_store(self.settings.store_url)

    @cached_property
    def registry(self) -> Registry:
        """Versions of the model and their aliases."""
        self.settings.state_dir.mkdir(parents=True, exist_ok=True)
        return Registry(self.settings.tracking_uri, self.settings.model_name)

    @cached_property
    def tracker(self) -> Tracker:
        """Runs: what was tried, with which settings, and how well it did."""
        self.settings.state_dir.mkdir(parents=True, exist_ok=True)
        return Tracker(self.settings.tracking_uri, self.settings.model_name, self.settings.artifact_dir)


@lru_cache
def open_workspace() -> Workspace:
    """The workspace that this process's settings describe."""
    return Workspace(get_settings())
