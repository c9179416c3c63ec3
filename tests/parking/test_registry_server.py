"""The registry and runs against a real MLflow server: artifacts go through its proxy, errors come as HTTP."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from parking.errors import NoVersionError, RegistryError
from parking.registry import Registry
from parking.tracking import Tracker
from tests.servers import mlflow_server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as address:
        yield address


def test_a_model_goes_to_the_server_and_back(uri: str, tmp_path: Path) -> None:
    registry = Registry(uri, "round-trip")
    model, extra = tmp_path / "m.onnx", tmp_path / "reference.parquet"
    model.write_bytes(b"model" * 100_000)
    extra.write_bytes(b"rows")
    with Tracker(uri, "round-trip", tmp_path / "unused").run("train") as run:
        run.metrics({"iou": 0.5})
        version = registry.register(model, run_id=run.id, tags={"dataset_version": "abc"}, extras={extra.name: extra})
    registry.promote(version.number, reason="the first", by="test")

    found = registry.resolve("production")
    assert (found.number, found.run_id, found.tags["dataset_version"]) == (1, run.id, "abc")
    assert registry.fetch(found, tmp_path / "cache").read_bytes() == model.read_bytes()
    assert (registry.fetch_extra(found, "reference.parquet", tmp_path / "cache") or model).read_bytes() == b"rows"
    assert registry.fetch_extra(found, "absent.json", tmp_path / "cache") is None
    assert registry.history()[0].aliases == ("production",)
    assert not (tmp_path / "unused").exists()


def test_a_missing_alias_is_no_version_and_not_a_fault(uri: str) -> None:
    for which in ("production", "3"):
        with pytest.raises(NoVersionError, match=f"no version '{which}'"):
            Registry(uri, "nothing-registered").resolve(which)


def test_what_the_server_refuses_is_told_in_its_words(uri: str, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"model")
    with pytest.raises(RegistryError, match=r"refused: .*no-such-run"):
        Registry(uri, "refused").register(model, run_id="no-such-run", tags={})


def test_asking_for_the_alias_is_quick_enough_to_poll(uri: str, tmp_path: Path) -> None:
    registry = Registry(uri, "polled")
    with Tracker(uri, "polled", tmp_path).run("train") as run:
        (tmp_path / "m.onnx").write_bytes(b"model")
        registry.register(tmp_path / "m.onnx", run_id=run.id, tags={})
    registry.promote(1, reason="the first", by="test")
    started = time.monotonic()
    for _ in range(5):
        registry.resolve()
    assert (time.monotonic() - started) / 5 < 0.5


WITHOUT_CLIENT = """
import sys
from pathlib import Path
from parking.registry import Registry
registry = Registry(sys.argv[1], sys.argv[2])
print(registry.fetch(registry.resolve(), Path(sys.argv[3])).read_bytes().decode(), "mlflow" in sys.modules)
"""


def test_what_a_service_asks_needs_no_import_of_mlflow_and_is_the_same(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"model")
    registry = Registry(uri, "asked")
    with Tracker(uri, "asked", tmp_path).run("train") as run:
        registry.register(tmp_path / "m.onnx", run_id=run.id, tags={"empty": "", "dataset_version": "abc"})
    registry.promote(1, reason="the first", by="test")
    command = [sys.executable, "-c", WITHOUT_CLIENT, uri, "asked", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["model", "False"]
    short = [registry.resolve(which) for which in ("production", "1")]
    monkeypatch.setattr("parking.registry.find_entry", lambda *_: None)
    assert [registry.resolve(which) for which in ("production", "1")] == short


def test_artifacts_that_the_server_does_not_hand_out_are_fetched_where_they_lie(uri: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"model")
    client = MlflowClient(uri, uri)
    experiment = client.create_experiment("beside", artifact_location=(tmp_path / "beside").as_uri())
    run_id = client.create_run(experiment).info.run_id
    registry = Registry(uri, "beside")
    version = registry.register(tmp_path / "m.onnx", run_id=run_id, tags={})
    assert registry.fetch(version, tmp_path / "cache").read_bytes() == b"model"
