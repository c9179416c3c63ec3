"""The gate: only a better version serves, unless somebody insists; a broken one never does."""

from pathlib import Path

import pytest

import flows.promote as promote_module
from flows.promote import promote
from parking.data.dataset import ingest, load_snapshot
from parking.errors import ModelError, NoVersionError, RegistryError
from parking.learning.gate import Verdict
from parking.registry import Version
from parking.workspace import Workspace
from tests.doubles import write_corrupt_model
from tests.flows.conftest import Shelf


@pytest.fixture
def serving(shelf: Shelf, sharp: Path) -> int:
    """A version that finds something, and serves."""
    number = shelf.put(sharp)
    promote(number, force=True)
    assert shelf.serving() == number
    return number


def test_a_worse_candidate_does_not_serve(shelf: Shelf, serving: int, blind: Path) -> None:
    verdict = promote(shelf.put(blind))
    assert not verdict.promote
    assert shelf.serving() == serving


def test_force_promotes_a_worse_one_and_keeps_both_reasons(space: Workspace, shelf: Shelf, blind: Path) -> None:
    number = shelf.put(blind)
    verdict = promote(number, force=True, by="anna", reason="to compare")
    assert shelf.serving() == number
    tags = space.registry.resolve("production").tags
    assert tags["promoted_by"] == "anna"
    assert "to compare" in tags["promotion_reason"]
    assert verdict.reason in tags["promotion_reason"]
    assert "forced" in tags["promotion_reason"]


def test_a_better_candidate_serves_and_the_other_becomes_previous(
    space: Workspace, shelf: Shelf, sharp: Path, blind: Path
) -> None:
    before = shelf.put(blind)
    promote(before, force=True)
    better = shelf.put(sharp)
    verdict = promote(better)
    assert verdict.promote, verdict.reason
    assert shelf.serving() == better
    assert space.registry.resolve("previous").number == before


def test_a_rollback_while_the_scenes_are_scored_is_judged_anew(
    space: Workspace, shelf: Shelf, sharp: Path, blind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse, better = shelf.put(blind), shelf.put(sharp)
    space.registry.promote(worse, reason="it served", by="a test")
    beside: list[int] = []
    judge = promote_module.judge

    def judge_slowly(candidate: Version, serving: Version | None) -> Verdict:
        verdict = judge(candidate, serving)
        beside.append(serving.number if serving else 0)
        if len(beside) == 1:
            space.registry.promote(better, reason="back to the better one", by="anna")
        return verdict

    monkeypatch.setattr(promote_module, "judge", judge_slowly)
    verdict = promote(shelf.put(sharp))
    assert beside == [worse, better]
    assert not verdict.promote, "it is no better than the one that was put in its way"
    assert shelf.serving() == better


def test_scenes_that_the_serving_version_learnt_from_do_not_count(
    space: Workspace, shelf: Shelf, annotated: Path, sharp: Path, blind: Path
) -> None:
    earlier = ingest(str(annotated), space.store, test_share=0.1).snapshot
    today = load_snapshot(space.store, shelf.dataset)
    kept = {scene.sha256 for scene in today.test} - {scene.sha256 for scene in earlier.train}
    assert 0 < len(kept) < len(today.test)
    promote(shelf.put(sharp, dataset_version=earlier.version), force=True)
    verdict = promote(shelf.put(blind))
    assert f"on {len(kept)} test scenes" in verdict.reason


def test_where_it_learnt_from_all_of_them_a_person_decides(
    space: Workspace, shelf: Shelf, annotated: Path, sharp: Path
) -> None:
    everything = ingest(str(annotated), space.store, test_share=0).snapshot
    before = shelf.put(sharp, dataset_version=everything.version)
    space.registry.promote(before, reason="it learnt from all", by="a test")
    verdict = promote(shelf.put(sharp))
    assert not verdict.promote
    assert f"Version {before} has learnt from every test scene" in verdict.reason


def test_promoting_what_serves_changes_nothing(space: Workspace, serving: int) -> None:
    reason = space.registry.resolve("production").tags["promotion_reason"]
    assert promote(serving).reason == f"Version {serving} serves already."
    assert space.registry.resolve("production").tags["promotion_reason"] == reason


def test_a_registered_file_that_is_no_model_never_serves(shelf: Shelf, serving: int, tmp_path: Path) -> None:
    broken = shelf.put(write_corrupt_model(tmp_path / "broken.onnx"))
    with pytest.raises(ModelError, match=f"Version {broken} cannot be scored"):
        promote(broken, force=True)
    assert shelf.serving() == serving


def test_a_broken_serving_version_can_be_replaced_by_force(
    space: Workspace, shelf: Shelf, sharp: Path, tmp_path: Path
) -> None:
    broken = shelf.put(write_corrupt_model(tmp_path / "broken.onnx"))
    space.registry.promote(broken, reason="by hand", by="a test")
    sound = shelf.put(sharp)
    verdict = promote(sound)
    assert not verdict.promote
    assert f"Version {broken} cannot be scored" in verdict.reason
    assert shelf.serving() == broken
    promote(sound, force=True)
    assert shelf.serving() == sound


def test_a_version_that_names_no_dataset_is_refused_with_a_sentence(shelf: Shelf, sharp: Path) -> None:
    with pytest.raises(RegistryError, match="dataset_version"):
        promote(shelf.put(sharp, dataset_version=""))


def test_a_version_that_is_not_there_is_refused_with_a_sentence(shelf: Shelf) -> None:
    with pytest.raises(NoVersionError, match="'999'"):
        promote(999)
