"""The registry against MLflow on SQLite, as one person on one machine uses it."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parking.errors import ModelError, NoVersionError, RegistryError
from parking.registry import Registry, Version
from parking.tracking import Tracker

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def uri(state: Path) -> str:
    return f"sqlite:///{state}/mlflow.db"


@pytest.fixture(scope="module")
def run_id(state: Path, uri: str) -> str:
    with Tracker(uri, "models", state / "artifacts").run("train") as run:
        return run.id


@pytest.fixture
def registry(uri: str, request: pytest.FixtureRequest) -> Registry:
    """A registry of its own for each test, in one database: creating its tables takes seconds."""
    return Registry(uri, request.node.name)


def register(registry: Registry, run_id: str, folder: Path, content: bytes = b"onnx") -> Version:
    model = folder / "some-name.onnx"
    model.write_bytes(content)
    return registry.register(model, run_id=run_id, tags={"dataset_version": "abc"})


def test_a_registered_model_comes_back_byte_for_byte(registry: Registry, run_id: str, tmp_path: Path) -> None:
    version = register(registry, run_id, tmp_path, b"the model")
    assert (version.number, version.run_id, version.tags["dataset_version"]) == (1, run_id, "abc")
    assert registry.fetch(registry.resolve("1"), tmp_path / "cache").read_bytes() == b"the model"


def test_an_artifact_that_is_gone_is_named_and_not_blamed_on_a_server(
    registry: Registry, run_id: str, tmp_path: Path, state: Path
) -> None:
    version = register(registry, run_id, tmp_path, b"soon gone")
    for file in (state / "artifacts").rglob("*.onnx"):
        if file.read_bytes() == b"soon gone":
            file.unlink()
    with pytest.raises(RegistryError, match="is gone from where MLflow keeps its files") as said:
        registry.fetch(version, tmp_path / "cache")
    assert "parking up" not in str(said.value)


def full_disk(*_: object, **__: object) -> str:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_in_mlflows_words(*_: object, **__: object) -> str:
    from mlflow.exceptions import MlflowException

    raise MlflowException("The following failures occurred: {'model.onnx': 'OSError(28, No space left on device)'}")


@pytest.mark.parametrize("fails", [full_disk, full_disk_in_mlflows_words])
def test_a_full_disk_is_called_one_and_mlflow_is_not_blamed(
    registry: Registry, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    version = register(registry, run_id, tmp_path)
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", fails)
    with pytest.raises(RegistryError, match=r"No space left.*[Ff]ree some space") as said:
        registry.fetch(version, tmp_path / "cache")
    assert "parking up" not in str(said.value)


def test_two_versions_of_one_run_keep_their_own_files(registry: Registry, run_id: str, tmp_path: Path) -> None:
    first = register(registry, run_id, tmp_path, b"first")
    second = register(registry, run_id, tmp_path, b"second")
    assert registry.fetch(first, tmp_path / "cache").read_bytes() == b"first"
    assert registry.fetch(second, tmp_path / "cache").read_bytes() == b"second"


def test_a_fetched_model_is_not_downloaded_again(
    registry: Registry, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(registry, run_id, tmp_path)
    file = registry.fetch(version, tmp_path / "cache")
    monkeypatch.setattr(registry, "_download", lambda *_: pytest.fail("downloaded again"))
    assert registry.fetch(version, tmp_path / "cache") == file


def test_a_model_that_was_asked_for_again_is_not_forgotten(registry: Registry, run_id: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    asked, left = (registry.fetch(register(registry, run_id, tmp_path, text), cache) for text in (b"asked", b"left"))
    for path in (asked, asked.parent, left, left.parent):
        os.utime(path, (0, 0))
    registry.fetch(registry.resolve("1"), cache)
    registry.forget(set(), cache)
    assert asked.exists()
    assert not left.exists()


def test_a_damaged_copy_in_the_cache_is_replaced(registry: Registry, run_id: str, tmp_path: Path) -> None:
    version = register(registry, run_id, tmp_path, b"whole")
    registry.fetch(version, tmp_path / "cache").write_bytes(b"torn")
    assert registry.fetch(version, tmp_path / "cache").read_bytes() == b"whole"


def test_a_model_replaced_behind_the_registry_is_refused(
    registry: Registry, run_id: str, state: Path, tmp_path: Path
) -> None:
    version = register(registry, run_id, tmp_path, b"honest and unique")
    kept = next(file for file in state.rglob("model.onnx") if file.read_bytes() == b"honest and unique")
    kept.write_bytes(b"swapped")
    with pytest.raises(ModelError, match=r"version 1 has the checksum .* damaged or replaced"):
        registry.fetch(version, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_extras_travel_with_the_model(registry: Registry, run_id: str, tmp_path: Path) -> None:
    model, extra = tmp_path / "m.onnx", tmp_path / "m.rows"
    model.write_bytes(b"model with extras")
    extra.write_bytes(b"rows")
    version = registry.register(model, run_id=run_id, tags={}, extras={"reference.parquet": extra})
    found = registry.fetch_extra(version, "reference.parquet", tmp_path / "cache")
    assert found is not None
    assert found.read_bytes() == b"rows"
    assert registry.fetch_extra(version, "scores.json", tmp_path / "cache") is None


def test_promotion_moves_the_alias_and_says_why(registry: Registry, run_id: str, tmp_path: Path) -> None:
    register(registry, run_id, tmp_path)
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    promoted = registry.promote(2, reason="better by 0.02", by="gate")
    assert registry.resolve("production").number == 2
    assert registry.resolve("previous").number == 1
    assert promoted.aliases == ("production",)
    told = {key: promoted.tags[key] for key in ("promoted_by", "promoted_from", "promotion_reason")}
    assert told == {"promoted_by": "gate", "promoted_from": "1", "promotion_reason": "better by 0.02"}
    assert promoted.tags["promoted_at"].endswith("+00:00")


def test_promoting_what_serves_already_keeps_the_way_back(registry: Registry, run_id: str, tmp_path: Path) -> None:
    register(registry, run_id, tmp_path)
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    registry.promote(2, reason="better", by="test")
    registry.promote(2, reason="again", by="test")
    assert registry.resolve("previous").number == 1


def test_a_rollback_swaps_and_a_second_one_undoes_it(registry: Registry, run_id: str, tmp_path: Path) -> None:
    register(registry, run_id, tmp_path)
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    registry.promote(2, reason="better", by="test")
    assert registry.rollback(reason="it misses kerbs", by="owner").number == 1
    assert registry.resolve("production").tags["promotion_reason"] == "it misses kerbs"
    assert registry.resolve("previous").number == 2
    assert registry.rollback(reason="a mistake", by="owner").number == 2


def test_without_a_previous_version_there_is_nothing_to_roll_back(
    registry: Registry, run_id: str, tmp_path: Path
) -> None:
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    with pytest.raises(NoVersionError, match="no `previous` version"):
        registry.rollback(reason="why not", by="test")


def test_history_is_newest_first_with_aliases(registry: Registry, run_id: str, tmp_path: Path) -> None:
    assert registry.history() == []
    register(registry, run_id, tmp_path)
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    assert [(version.number, version.aliases) for version in registry.history()] == [(2, ()), (1, ("production",))]


@pytest.mark.parametrize("which", ["production", "7", "no such alias"])
def test_what_is_not_there_is_named_with_what_to_do(
    registry: Registry, run_id: str, tmp_path: Path, which: str
) -> None:
    register(registry, run_id, tmp_path)
    with pytest.raises(NoVersionError, match=f"no version '{which}' .* `parking promote`"):
        registry.resolve(which)


def test_promoting_an_unknown_number_changes_nothing(registry: Registry, run_id: str, tmp_path: Path) -> None:
    register(registry, run_id, tmp_path)
    registry.promote(1, reason="the first", by="test")
    with pytest.raises(NoVersionError):
        registry.promote(9, reason="a typo", by="test")
    assert registry.resolve("production").number == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9",  # refused
        "http://10.255.255.1:5000",  # silent
        "postgresql://user:secret@127.0.0.1:9/mlflow",
        "sqlite:////proc/no/such/place/mlflow.db",
    ],
)
def test_an_mlflow_that_does_not_answer_is_told_within_seconds(address: str) -> None:
    started = time.monotonic()
    with pytest.raises(RegistryError, match=r"MLflow at .* cannot be used: .*`parking up`") as caught:
        Registry(address, "parking").resolve()
    assert time.monotonic() - started < 5
    assert not isinstance(caught.value, NoVersionError)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_an_error_of_the_registry(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is not SQLite" * 100)
    with pytest.raises(RegistryError, match="not a database"):
        Registry(f"sqlite:///{tmp_path}/mlflow.db", "parking").resolve()
