"""The whole loop in one flow."""

from pathlib import Path

from flows.retrain import retrain
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
