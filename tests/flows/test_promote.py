"""The gate: only a better version serves, unless somebody insists; a broken one never does."""

import re
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

import flows.promote as promote_module
from flows.logs import show_in_runs
from flows.promote import promote
from parking.data.dataset import Snapshot, ingest, load_snapshot
from parking.errors import ModelError, NoVersionError, RegistryError
from parking.learning.gate import Verdict
from parking.learning.known_scenes import learnt_from
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import load_samples
from parking.registry import Version
from parking.workspace import Workspace, open_workspace
from tests.doubles import write_bright_model, write_corrupt_model
from tests.flows.conftest import Shelf, newest_artifact


@pytest.fixture
def serving(shelf: Shelf, sharp: Path) -> int:
    """A version that finds something, and serves."""
    number = shelf.put(sharp)
    promote(number, force=True)
    assert shelf.serving() == number
    return number


def who_learnt_from(snapshot: Snapshot, folder: Path) -> Path:
    """A model that finds something, and says that it learnt from a snapshot's training scenes."""
    samples = load_samples(open_workspace().store, snapshot.train, Recipe())
    return write_bright_model(folder / "learner.onnx", threshold=0.9, learnt_from=learnt_from(samples))


def test_a_worse_candidate_does_not_serve(shelf: Shelf, serving: int, blind: Path) -> None:
    verdict = promote(shelf.put(blind))
    assert not verdict.promote
    assert shelf.serving() == serving


def test_a_refusal_is_seen_in_the_state_the_log_the_page_and_on_the_version(
    space: Workspace, shelf: Shelf, serving: int, blind: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Another test of this process may have taken the handler away.
    show_in_runs()
    number = shelf.put(blind)
    state = promote(number, return_state=True)
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed (not promoted)")
    assert "worse" in (state.message or "")
    assert f"Version {number}: not promoted. It is worse" in caplog.text
    version = space.registry.resolve(str(number))
    assert version.tags["gate"] == "not promoted"
    assert "It is worse" in version.tags["gate_reason"]
    shown = newest_artifact("gate")["data"]
    assert f"**Version {number}: not promoted.**" in shown
    assert "| the serving version |" in shown
    assert "data:image/png;base64," in shown


def test_a_promotion_is_a_plain_success(shelf: Shelf, space: Workspace, sharp: Path, blind: Path) -> None:
    space.registry.promote(shelf.put(blind), reason="it serves", by="a test")
    number = shelf.put(sharp)
    assert promote(number, return_state=True).name == "Completed"
    assert space.registry.resolve(str(number)).tags["gate"] == "promoted"


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
    space: Workspace, shelf: Shelf, annotated: Path, tmp_path: Path, blind: Path
) -> None:
    earlier = ingest(str(annotated), space.store, test_share=0.15).snapshot
    today = load_snapshot(space.store, shelf.dataset)
    kept = {scene.sha256 for scene in today.test} - {scene.sha256 for scene in earlier.train}
    assert 0 < len(kept) < len(today.test)
    before = shelf.put(who_learnt_from(earlier, tmp_path), dataset_version=earlier.version)
    promote(before, force=True)
    verdict = promote(shelf.put(blind))
    assert f"on {len(kept)} test scenes" in verdict.reason
    assert f"{len(today.test) - len(kept)} test scenes do not count" in verdict.reason


def test_where_it_learnt_from_all_of_them_a_person_decides(
    space: Workspace, shelf: Shelf, annotated: Path, sharp: Path, tmp_path: Path
) -> None:
    everything = ingest(str(annotated), space.store, test_share=0).snapshot
    learner = who_learnt_from(everything, tmp_path)
    before = shelf.put(learner)
    space.registry.promote(before, reason="it learnt from all", by="a test")
    verdict = promote(shelf.put(sharp))
    assert not verdict.promote
    assert re.search(f"ersion [0-9]+ or {before} has learnt from every test scene.* --force", verdict.reason)


def test_a_candidate_that_learnt_from_the_test_scenes_is_no_better_for_it(
    shelf: Shelf, serving: int, space: Workspace, annotated: Path, tmp_path: Path
) -> None:
    everything = ingest(str(annotated), space.store, test_share=0).snapshot
    verdict = promote(shelf.put(who_learnt_from(everything, tmp_path)))
    assert not verdict.promote
    assert "has learnt from every test scene" in verdict.reason
    assert shelf.serving() == serving


def test_a_candidate_that_does_not_say_what_it_learnt_from_serves_only_by_force(
    shelf: Shelf, space: Workspace, tmp_path: Path, blind: Path
) -> None:
    space.registry.promote(shelf.put(blind), reason="it serves", by="a test")
    silent = shelf.put(write_bright_model(tmp_path / "silent.onnx", threshold=0.9, learnt_from=None))
    verdict = promote(silent)
    assert not verdict.promote
    assert f"Version {silent} does not say which scenes it learnt from" in verdict.reason
    promote(silent, force=True)
    assert shelf.serving() == silent


def test_beside_a_version_that_does_not_say_what_it_learnt_from_the_verdict_says_so(
    shelf: Shelf, space: Workspace, tmp_path: Path, blind: Path
) -> None:
    silent = shelf.put(write_bright_model(tmp_path / "silent.onnx", threshold=0.9, learnt_from=None))
    space.registry.promote(silent, reason="it serves", by="a test")
    candidate = shelf.put(blind)
    verdict = promote(candidate)
    assert not verdict.promote
    assert f"Version {silent} does not say which scenes it learnt from" in verdict.reason
    assert f"unfair to version {candidate}" in verdict.reason


def test_a_model_made_before_files_said_it_is_judged_by_its_snapshot(
    shelf: Shelf, space: Workspace, tmp_path: Path, blind: Path
) -> None:
    space.registry.promote(shelf.put(blind), reason="it serves", by="a test")
    old = write_bright_model(tmp_path / "old.onnx", threshold=0.9, learnt_from=None, dataset_version=shelf.dataset)
    assert promote(shelf.put(old)).promote


def test_a_version_is_not_judged_by_a_handful_of_scenes(
    shelf: Shelf, space: Workspace, annotated: Path, tmp_path: Path, sharp: Path, blind: Path
) -> None:
    space.registry.promote(shelf.put(blind), reason="it serves", by="a test")
    few = ingest(str(annotated), space.store, test_share=0.05).snapshot
    candidate = shelf.put(sharp, dataset_version=few.version)
    verdict = promote(candidate)
    assert not verdict.promote
    assert "2 test scenes" in verdict.reason
    assert "too few to judge" in verdict.reason
    promote(candidate, force=True, by="anna")
    assert shelf.serving() == candidate


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
