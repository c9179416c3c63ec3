"""The chain that watching is for: shifted images, drift, a retrain that follows, a new version, and calm again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from monitoring.schema import rows_to_table, table_to_parquet
from parking.data.domain_shift import apply_shift
from parking.data.imagery import encode_png, read_raster
from parking.data.synthetic import generate_dataset, generate_scene
from parking.registry import REFERENCE_FILE, Registry
from parking.tracking import Tracker
from tests.doubles import write_bright_model
from tests.e2e.asking import deployment, run_deployment
from tests.e2e.conftest import Platform
from tests.e2e.waiting import wait_until
from tests.monitoring.rows import scene_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

ASKED = range(100, 116)


@pytest.fixture(scope="module")
def by_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What annotators have drawn since: scenes of the night."""
    folder = generate_dataset(tmp_path_factory.mktemp("by-night"), 40, seed=5, size=256)
    for number, file in enumerate(sorted(folder.glob("*.png"))):
        Image.fromarray(apply_shift(read_raster(file.read_bytes()).pixels, "night", number)).save(file)
    return folder


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, by_night: Path) -> Iterator[Platform]:
    """A platform on which drift starts a retrain."""
    made = Platform(tmp_path_factory.mktemp("watched") / "state")
    made.settings = {
        "PARKING_RETRAIN_ON_DRIFT": "true",
        "PARKING_RETRAIN_COOLDOWN_DAYS": "0",
        "PARKING_DATA": str(by_night),
        # A network trained for seconds is sure of nothing: its answers may move a good deal.
        "PARKING_DRIFT_THRESHOLD": "2",
    }
    made.start()
    yield made
    made.kill()


def register_day_model(platform: Platform, folder: Path) -> None:
    """Version 1, which finds nothing and was trained on scenes by day."""
    reference = folder / REFERENCE_FILE
    reference.write_bytes(table_to_parquet(rows_to_table(scene_rows(range(40)))))
    model = write_bright_model(folder / "blind.onnx", threshold=0.99999)
    registry = Registry(platform.mlflow, "free-parking")
    with Tracker(platform.mlflow, "free-parking", folder).run("by day") as run:
        registry.register(model, run_id=run.id, tags={}, extras={REFERENCE_FILE: reference})
    registry.promote(1, reason="the first", by="a test")


def ask_by_night(platform: Platform) -> None:
    """Requests as they come after dark, and the time for their rows to be written."""
    for seed in ASKED:
        pixels = apply_shift(generate_scene(seed, 256).raster.pixels, "night", seed)
        answer = httpx.post(f"{platform.service}/predict", files={"file": ("a.png", encode_png(pixels))}, timeout=60)
        assert answer.status_code == 200, answer.text
    pending = "parking_log_rows_pending 0.0"
    wait_until(lambda: pending in httpx.get(f"{platform.service}/metrics").text, 30, "the log to be written")


def verdicts(platform: Platform) -> dict[str, str]:
    """By version, of today."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert run_deployment(platform, "monitor", day=today)["type"] == "COMPLETED"
    versions = Registry(platform.mlflow, "free-parking").history()
    return {str(version.number): version.tags.get("drift_verdict", "") for version in versions}


def runs_of(platform: Platform, name: str) -> list[dict[str, Any]]:
    body = {"deployments": {"id": {"any_": [deployment(platform, name)["id"]]}}}
    found: list[dict[str, Any]] = httpx.post(f"{platform.prefect}/flow_runs/filter", json=body, timeout=30).json()
    return found


def serves(platform: Platform, version: str) -> bool:
    return str(platform.health()["model_version"]) == version


def test_drift_starts_a_retrain_whose_version_is_calm_again(
    watched: Platform, quick_recipe: str, tmp_path: Path
) -> None:
    register_day_model(watched, tmp_path)
    wait_until(lambda: serves(watched, "1"), 30, "version 1 to serve")
    # As an operator does it on the deployment's page: retrains by default are small ones here.
    url = f"{watched.prefect}/deployments/{deployment(watched, 'retrain')['id']}"
    small = {"recipe": quick_recipe, "trials": 0, "folds": 2}
    # Prefect's server on SQLite answers 503 while another write lasts.
    wait_until(
        lambda: httpx.patch(url, json={"parameters": small}, timeout=30).is_success, 15, "the deployment's values"
    )

    ask_by_night(watched)
    assert verdicts(watched) == {"1": "drift"}
    wait_until(lambda: runs_of(watched, "retrain"), 60, "a retrain to follow")
    wait_until(lambda: runs_of(watched, "retrain")[0]["end_time"], 300, "the retrain to end")
    (retrain,) = runs_of(watched, "retrain")
    assert retrain["state_type"] == "COMPLETED", retrain["state"]
    wait_until(lambda: serves(watched, "2"), 30, "the new version to serve")

    ask_by_night(watched)
    assert verdicts(watched) == {"1": "drift", "2": "ok"}
    assert len(runs_of(watched, "retrain")) == 1, "the version that drifted no longer serves"
