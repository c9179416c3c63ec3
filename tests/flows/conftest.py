"""One Prefect server for all flows here, and one state folder that they build on as a user's days go."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from parking.data.synthetic import generate_dataset
from parking.settings import get_settings
from parking.workspace import Workspace, open_workspace
from tests.doubles import write_bright_model

QUICK = {
    **{"encoder_weights": "none", "decoder_channels": [16, 16, 16, 8, 8], "device": "cpu"},
    **{"crop": 64, "batch": 2, "steps": 4, "tile": 256, "overlap": 32, "evaluations": 1},
}
"""Settings that train something, though nothing good, in a second."""

SCENES, PLACES = 40, 4
"""Of the annotated images, and in each: enough for a gate to judge by a fifth of them."""


@pytest.fixture(scope="session", autouse=True)
def _prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder; its MLflow tables are made once, for that takes seconds."""
    return tmp_path_factory.mktemp("loop") / "state"


def forget() -> None:
    """Let settings and workspace be read anew."""
    from parking.learning.scene_cache import forget_samples

    forget_samples()
    for cached in (get_settings, open_workspace):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def space(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace on the state folder."""
    monkeypatch.setenv("PARKING_STATE_DIR", str(state))
    forget()
    yield open_workspace()
    forget()


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small scenes, dark but for their free places: which model is right is known without training."""
    folder = generate_dataset(tmp_path_factory.mktemp("annotated"), SCENES, seed=5, size=192)
    export = json.loads((folder / "annotations.coco.json").read_text())
    export["annotations"] = []
    for number, image in enumerate(export["images"]):
        with Image.open(folder / image["file_name"]) as drawn:
            pixels = np.asarray(drawn) // 3
        for place in range(PLACES):
            left, top = 5 + 45 * place + 7 * number % 29, 150 - 23 * number % 140
            pixels[top : top + 34, left : left + 17] = 240
            ring = [left, top, left + 17, top, left + 17, top + 34, left, top + 34]
            known = {"id": PLACES * number + place, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
            export["annotations"].append({**known, "segmentation": [ring]})
        Image.fromarray(pixels).save(folder / image["file_name"])
    (folder / "annotations.coco.json").write_text(json.dumps(export))
    return folder


@pytest.fixture
def dataset(space: Workspace, annotated: Path) -> str:
    """The version of their snapshot."""
    from parking.data.dataset import ingest

    return ingest(str(annotated), space.store).snapshot.version


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The quick settings as a file."""
    path = tmp_path_factory.mktemp("recipe") / "quick.json"
    path.write_text(json.dumps(QUICK))
    return str(path)


@dataclass(frozen=True)
class Shelf:
    """Registers models that were not trained, so that tests of the gate need not train."""

    space: Workspace
    dataset: str

    def put(self, model: Path, **tags: str) -> int:
        with self.space.tracker.run("made by a test") as run:
            return self.space.registry.register(
                model, run_id=run.id, tags={"dataset_version": self.dataset, **tags}
            ).number

    def serving(self) -> int:
        return self.space.registry.resolve("production").number


@pytest.fixture
def shelf(space: Workspace, dataset: str) -> Shelf:
    return Shelf(space, dataset)


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    """A model that finds something."""
    return write_bright_model(tmp_path / "sharp.onnx", threshold=0.9)


@pytest.fixture
def blind(tmp_path: Path) -> Path:
    """A model that finds next to nothing."""
    return write_bright_model(tmp_path / "blind.onnx", threshold=0.99999)


def newest_artifact(key: str) -> dict[str, Any]:
    """The artifact of this key that was written last, as Prefect's API gives it."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        answer = client._client.post(
            "/artifacts/filter", json={"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
        )
    found: list[dict[str, Any]] = answer.json()
    return found[0]
