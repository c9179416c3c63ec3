"""The model that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

from parking.data.imagery import Raster
from parking.data.synthetic import generate_scene
from parking.detection.detector import Detector
from parking.errors import NoVersionError
from parking.mlflow_client import mlflow_client
from parking.registry import REFERENCE_FILE, Registry
from parking.settings import Settings
from parking.shipped import StockedRegistry, has_no_registry, register_shipped, shipped_model, shipped_reference
from parking.tracking import Tracker

LARGEST_MB = 25


def test_it_is_small_and_declares_how_well_it_does() -> None:
    assert shipped_model().stat().st_size < LARGEST_MB * 2**20
    contract = Detector.load(shipped_model(), threads=2).contract
    assert contract.scores["fold_iou"] > 0.4
    assert abs(contract.scores["fold_count_bias"]) < 0.15


def test_it_finds_places_where_there_are_some_and_none_on_a_lawn() -> None:
    detector = Detector.load(shipped_model(), threads=2)
    scene = next(scene for scene in (generate_scene(seed, 512) for seed in range(9)) if len(scene.rings) > 8)
    probability = detector.probability(Raster(scene.raster.pixels))
    truth = np.zeros(probability.shape, bool)
    for ring in scene.rings:
        x, y = (int(v) for v in np.array(ring).mean(axis=0))
        truth[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = True
    assert probability[truth].mean() > 3 * probability[~truth].mean()
    lawn = np.full((300, 300, 3), (80, 120, 60), np.uint8)
    assert detector.detect(Raster(lawn)).count == 0


@pytest.mark.e2e
def test_an_empty_registry_gets_it_as_first_version_and_only_an_empty_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry, tracker = Registry(uri, "free-parking"), Tracker(uri, "free-parking", tmp_path / "artifacts")
    first = register_shipped(registry, tracker)
    assert first is not None
    assert first.number == 1
    assert registry.resolve("production").tags["origin"] == "shipped"
    kept = registry.fetch_extra(first, REFERENCE_FILE, tmp_path)
    assert kept is not None, "drift of the first version is judged from the first day on"
    assert kept.read_bytes() == shipped_reference().read_bytes()
    assert register_shipped(registry, tracker) is None
    assert len(registry.history()) == 1


@pytest.mark.e2e
def test_a_registry_is_stocked_when_it_is_first_asked(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state")
    assert has_no_registry(settings)
    registry = StockedRegistry(settings)
    with pytest.raises(NoVersionError):
        registry.resolve("7")
    assert not has_no_registry(settings)
    assert registry.resolve().tags["origin"] == "shipped"
    with mlflow_client(settings.tracking_uri) as client:
        client.delete_registered_model_alias(settings.model_name, "production")
    # Somebody took the alias away: that is no empty registry.
    with pytest.raises(NoVersionError):
        registry.resolve()
    assert len(registry.history()) == 1
