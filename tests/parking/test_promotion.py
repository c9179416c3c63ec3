"""A promotion is one decision: cut short anywhere, it holds or it never was, and the way back is never lost."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from parking.errors import NoVersionError, RegistryError
from parking.promotion import RECORD, SETTLED
from parking.registry import Registry
from parking.tracking import Tracker
from tests.servers import mlflow_server

pytestmark = pytest.mark.e2e

WRITES = (
    "set_registered_model_tag",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)
STEPS = range(9)
"""More than the writes of any promotion: the last of them cut nothing short."""


class CutShortError(BaseException):
    """The process ends here, for what its code can do about it."""


def cut_short_after(writes: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many writes to MLflow through, and no more."""
    left = [writes]

    def limited(name: str) -> None:
        through = getattr(MlflowClient, name)

        def write(*words: object, **named: object) -> object:
            if not left[0]:
                raise CutShortError
            left[0] -= 1
            return through(*words, **named)

        patch.setattr(MlflowClient, name, write)

    for name in WRITES:
        limited(name)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Four versions, in one database for all tests: creating its tables takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('state')}/mlflow.db"
    client = MlflowClient(uri, uri)
    client.create_registered_model("parking")
    for _ in range(4):
        client.create_model_version("parking", source="file:///nowhere")
    return Registry(uri, "parking")


@pytest.fixture
def registry(stocked: Registry) -> Registry:
    """Of these the second serves, and the first did before; nothing is recorded yet."""
    client = MlflowClient(stocked.tracking_uri, stocked.tracking_uri)
    if RECORD in client.get_registered_model("parking").tags:
        client.delete_registered_model_tag("parking", RECORD)
    for alias, number in (("production", "2"), ("previous", "1")):
        client.set_registered_model_alias("parking", alias, number)
    client.set_model_version_tag("parking", "2", "promoted_from", "1")
    return stocked


def aliases(registry: Registry) -> dict[str, int]:
    """As MLflow has them, finished or not."""
    found = MlflowClient(registry.tracking_uri, registry.tracking_uri).get_registered_model(registry.model_name)
    return {alias: int(number) for alias, number in found.aliases.items()}


BEFORE, PROMOTED, ROLLED_BACK = (2, 1), (3, 2), (1, 2)


@pytest.mark.parametrize(("writes", "looks"), list(zip(STEPS, ["resolve", "promote", "rollback"] * 3, strict=True)))
def test_a_promotion_cut_short_anywhere_holds_or_never_was(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, writes: int, looks: str
) -> None:
    with monkeypatch.context() as patch:
        cut_short_after(writes, patch)
        try:
            registry.promote(3, reason="better still", by="gate")
        except CutShortError:
            assert writes < STEPS[-1]
    decided = BEFORE if writes == 0 else PROMOTED
    if looks == "resolve":
        serving = registry.resolve("production")
        assert (serving.number, registry.resolve("previous").number) == decided
        assert (serving.tags.get("promotion_reason") == "better still") == (writes > 0)
    elif looks == "promote":
        registry.promote(4, reason="the best", by="gate")
        assert aliases(registry) == {"production": 4, "previous": decided[0]}
    else:
        assert registry.rollback(reason="it is bad", by="owner").number == decided[1]
        assert aliases(registry) == {"production": decided[1], "previous": decided[0]}


@pytest.mark.parametrize("writes", STEPS)
def test_a_rollback_cut_short_anywhere_holds_or_never_was(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    with monkeypatch.context() as patch:
        cut_short_after(writes, patch)
        try:
            registry.rollback(reason="it is bad", by="owner")
        except CutShortError:
            assert writes < STEPS[-1]
    decided = BEFORE if writes == 0 else ROLLED_BACK
    assert (registry.resolve("production").number, registry.resolve("previous").number) == decided
    assert registry.rollback(reason="a mistake", by="owner").number == decided[1]


def test_whatever_is_cut_short_and_however_often_the_last_decision_holds(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, expected = random.Random(4), BEFORE
    for _ in range(6):
        writes, number = draw.randrange(8), draw.choice([0, 1, 2, 3, 4])
        with monkeypatch.context() as patch:
            cut_short_after(writes, patch)
            # What an earlier one left is finished first, by the same writes: how far this one came, its record says.
            try:
                if number:
                    registry.promote(number, reason="drawn", by="a test")
                else:
                    registry.rollback(reason="drawn", by="a test")
            except CutShortError:
                pass
        tags = MlflowClient(registry.tracking_uri).get_registered_model(registry.model_name).tags
        production, previous = registry.resolve("production").number, registry.resolve("previous").number
        assert RECORD not in tags or f'"production":{production},"previous":{previous}' in tags[RECORD]
        assert (production, previous) == expected or production == (number or expected[1])
        if production != expected[0]:
            assert previous == expected[0], "the version that served is lost"
        expected = production, previous


def test_an_alias_moved_by_hand_stays_where_it_was_put(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    client.set_registered_model_alias(registry.model_name, "production", "4")
    assert registry.resolve("production").number == 4
    with monkeypatch.context() as patch:
        cut_short_after(1, patch)
        with pytest.raises(CutShortError):
            registry.promote(3, reason="better still", by="gate")
    client.set_registered_model_alias(registry.model_name, "production", "1")
    assert registry.resolve("production").number == 1
    assert registry.resolve("production").number == 1


def test_a_decision_for_a_version_that_was_deleted_meanwhile_blocks_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    passing = int(client.create_model_version(registry.model_name, source="file:///nowhere").version)
    with monkeypatch.context() as patch:
        cut_short_after(1, patch)
        with pytest.raises(CutShortError):
            registry.promote(passing, reason="better still", by="gate")
    client.delete_model_version(registry.model_name, str(passing))
    assert registry.resolve("production").number == 2
    assert registry.promote(4, reason="the best", by="gate").number == 4


def test_who_may_read_but_not_write_reads_what_is_there(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        cut_short_after(1, patch)
        with pytest.raises(CutShortError):
            registry.promote(3, reason="better still", by="gate")

    def refuse(*_: object) -> None:
        raise MlflowException("read only", PERMISSION_DENIED)

    for name in WRITES:
        monkeypatch.setattr(MlflowClient, name, refuse)
    assert registry.resolve("production").number == 2
    with pytest.raises(RegistryError, match="read only"):
        registry.rollback(reason="it is bad", by="owner")


def test_a_rollback_finds_the_way_where_an_earlier_release_lost_it(registry: Registry) -> None:
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    for lost in ("moved", "gone"):
        registry.promote(2, reason="again", by="a test")
        if lost == "moved":
            client.set_registered_model_alias(registry.model_name, "previous", "2")
        else:
            client.delete_registered_model_alias(registry.model_name, "previous")
        assert registry.rollback(reason="it is bad", by="owner").number == 1


def test_two_promotions_at_once_end_with_the_one_that_was_recorded_last(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, other = MlflowClient.set_registered_model_alias, Registry(registry.tracking_uri, registry.model_name)

    def another_comes_between(client: MlflowClient, name: str, alias: str, version: str) -> None:
        monkeypatch.setattr(MlflowClient, "set_registered_model_alias", through)
        other.promote(4, reason="quicker", by="anna")
        through(client, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", another_comes_between)
    with pytest.raises(RegistryError, match="the registry says that version 4 does"):
        registry.promote(3, reason="better still", by="gate")
    assert registry.resolve("production").number == 4
    tags = MlflowClient(registry.tracking_uri).get_registered_model(registry.model_name).tags
    assert tags[SETTLED] in tags[RECORD]


def test_a_first_promotion_has_no_way_back(stocked: Registry) -> None:
    registry = Registry(stocked.tracking_uri, "first")
    client = MlflowClient(stocked.tracking_uri, stocked.tracking_uri)
    client.create_registered_model("first")
    client.create_model_version("first", source="file:///nowhere")
    registry.promote(1, reason="the first", by="a test")
    with pytest.raises(NoVersionError, match="no `previous` version"):
        registry.rollback(reason="why not", by="a test")


KILLED = """
import os, signal, sys
from mlflow import MlflowClient
from parking.registry import Registry

uri, model, what = sys.argv[1:4]
registry = Registry(uri, model)
registry.resolve("production")
for writes in range(8):
    child = os.fork()
    if not child:
        left = [writes]
        for name in ("set_registered_model_tag", "set_model_version_tag", "set_registered_model_alias"):
            def write(*words, _through=getattr(MlflowClient, name)):
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return _through(*words)
            setattr(MlflowClient, name, write)
        registry.promote(3, reason="better still", by="gate")
        os._exit(0)
    os.waitpid(child, 0)
    print(registry.resolve("production").number, registry.resolve("previous").number, flush=True)
    registry.promote(1, reason="back to the start", by="a test")
    registry.promote(2, reason="back to the start", by="a test")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.mark.timeout(900)
def test_killed_between_any_two_writes_to_a_server_it_holds_or_never_was(server: str, tmp_path: Path) -> None:
    registry = Registry(server, "killed")
    with Tracker(server, "killed", tmp_path).run("train") as run:
        for number in range(3):
            (tmp_path / "m.onnx").write_bytes(b"model %d" % number)
            registry.register(tmp_path / "m.onnx", run_id=run.id, tags={})
    registry.promote(1, reason="the first", by="a test")
    registry.promote(2, reason="better", by="a test")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, server, "killed", "promote"],
        capture_output=True, text=True, timeout=300, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["2 1", *["3 2"] * 7], done.stderr
