"""The whole loop in one flow."""

from pathlib import Path

import pytest

from flows.retrain import retrain
from parking.errors import TrainingError
from parking.workspace import Workspace
from tests.flows.conftest import Shelf


def test_without_promotion_the_alias_stays(
    space: Workspace, shelf: Shelf, sharp: Path, annotated: Path, recipe: str
) -> None:
    space.registry.promote(shelf.put(sharp), reason="it serves", by="a test")
    before = shelf.serving()
    done = retrain(str(annotated), trials=0, folds=2, promote=False, recipe=recipe)
    assert done.verdict is None
    assert done.version == before + 1
    assert shelf.serving() == before


def test_where_nothing_is_new_no_version_is_made(
    space: Workspace, shelf: Shelf, sharp: Path, annotated: Path, recipe: str
) -> None:
    made = retrain(str(annotated), trials=0, folds=2, promote=False, recipe=recipe)
    again = retrain(str(annotated), trials=0, folds=2, recipe=recipe, only_new=True)
    assert (again.version, again.verdict) == (made.version, None)
    assert space.registry.history()[0].number == made.version
    shelf.put(sharp)
    assert (
        retrain(str(annotated), trials=0, folds=2, promote=False, recipe=recipe, only_new=True).version > made.version
    )


def test_with_promotion_the_gate_decides(
    space: Workspace, shelf: Shelf, sharp: Path, annotated: Path, recipe: str
) -> None:
    space.registry.promote(shelf.put(sharp), reason="it serves", by="a test")
    before = shelf.serving()
    ended = retrain(str(annotated), trials=0, folds=2, recipe=recipe, return_state=True)
    assert ended.name == "Completed (not promoted)"
    done = ended.result()
    assert done.verdict is not None
    assert not done.verdict.promote, "a model of four steps cannot beat one that is right"
    assert shelf.serving() == before


def test_a_retrain_that_cannot_fit_into_its_time_is_refused_before_its_first_trial(
    space: Workspace, annotated: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.retrain.tune", lambda *_: pytest.fail("it searches"))
    with pytest.raises(TrainingError, match=r"minutes are too few for 1 trial in 2 folds and a training in 2 folds"):
        retrain(str(annotated), trials=1, folds=2, minutes=0.05, recipe=recipe)
