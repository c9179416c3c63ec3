"""Cross-validation: no scene is predicted by a network that has seen it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from parking.detection.contract import AS_PREDICTED, PlaceCalibration
from parking.errors import DatasetError
from parking.learning import crossval
from parking.learning.crossval import cross_validate, ious_apart, run_folds
from parking.learning.evaluate import Scores
from parking.learning.place_calibration import Evidence
from parking.learning.recipe import Recipe
from parking.learning.split_ranking import Tried
from parking.learning.train import Fit
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, box, make_samples

SAMPLES = make_samples(6)


class Fits:
    """Stands in for training: notes who learnt from what, and answers with the truth at a given sureness."""

    def __init__(self, *sureness: float) -> None:
        self.seen: list[tuple[set[str], set[str]]] = []
        self._sureness = sureness

    def __call__(self, recipe: Recipe, train: Sequence[Sample], validation: Sequence[Sample], **more: Any) -> Fit:
        sure = self._sureness[len(self.seen)]
        self.seen.append(({s.name for s in train}, {s.name for s in validation}))
        # Half as sure elsewhere: only a threshold between the two is right.
        maps = tuple(np.where(s.mask, sure, sure / 2).astype(np.float16) for s in validation)
        return Fit(nn.Identity(), recipe.steps, maps, [])


@pytest.fixture
def even(monkeypatch: pytest.MonkeyPatch) -> Fits:
    fits = Fits(0.8, 0.8, 0.8)
    monkeypatch.setattr(crossval, "fit", fits)
    return fits


def test_every_scene_is_predicted_once_by_a_network_that_has_not_seen_it(even: Fits) -> None:
    result = cross_validate(TINY, SAMPLES, 3)
    assert sorted(p.name for p in result.predictions) == [s.name for s in SAMPLES]
    for train, validation in even.seen:
        assert not train & validation
        assert train | validation == {s.name for s in SAMPLES}
    assert [scores.iou for scores in result.fold_scores] == [1, 1, 1]


def test_scenes_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = Fits(0.8, 0.8)
    monkeypatch.setattr(crossval, "fit", fits)
    alike = [replace(s, scene=s.scene.model_copy(update={"name": "same.png"})) for s in SAMPLES]
    cross_validate(TINY, alike, 2)
    for train, validation in fits.seen:
        assert train | validation == {s.name for s in SAMPLES}
        assert not train & validation


def test_a_fold_does_not_choose_its_own_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "fit", Fits(0.9, 0.4))
    result = cross_validate(TINY, SAMPLES, 2)
    # The first is right between 0.45 and 0.9, the second between 0.2 and 0.4: each is wrong at the other's.
    assert result.fold_scores[0].recall == 1
    assert result.fold_scores[0].precision < 0.3
    assert result.fold_scores[1].recall == 0


def test_nor_does_it_where_only_the_iou_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "fit", Fits(0.9, 0.4, 0.9, 0.4))
    parts = run_folds(TINY, SAMPLES, 2)
    assert ious_apart(parts) == pytest.approx([s.iou for s in cross_validate(TINY, SAMPLES, 2).fold_scores])
    assert ious_apart(parts)[1] == 0
    assert ious_apart(parts[1:]) == (1,)


def test_a_fold_does_not_choose_its_own_calibration(even: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[list[Evidence]] = []

    def note(evidence: Sequence[Evidence]) -> PlaceCalibration:
        used.append(list(evidence))
        return AS_PREDICTED

    monkeypatch.setattr(crossval, "calibrate_places", note)
    result = cross_validate(TINY, SAMPLES, 3)
    *folds, whole = sorted(used, key=len)
    assert [len(evidence) for evidence in (*folds, whole)] == [4, 4, 4, 6]
    order = {id(seen): number for number, seen in enumerate(whole)}
    owner = [fold for fold, part in enumerate(result.parts) for _ in part]
    left_out = [{owner[n] for n in range(6)} - {owner[order[id(seen)]] for seen in evidence} for evidence in folds]
    assert left_out == [{0}, {1}, {2}]


def test_a_fold_does_not_choose_its_own_cuts(even: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[list[Tried]] = []
    monkeypatch.setattr(crossval, "learn_cuts", lambda tried, size: used.append(list(tried)))
    result = cross_validate(TINY, SAMPLES, 3)
    *folds, whole = sorted(used, key=len)
    owner = [fold for fold, part in enumerate(result.parts) for _ in part]
    order = {id(tried): number for number, tried in enumerate(whole)}
    assert [{0, 1, 2} - {owner[order[id(tried)]] for tried in seen} for seen in folds] == [{0}, {1}, {2}]


def test_a_fold_does_not_guess_the_size_of_its_own_places(even: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    seeing = TINY.model_copy(update={"encoder_weights": "imagenet"})
    scenes = make_samples(12)
    before = cross_validate(seeing, scenes, 3)
    monkeypatch.setattr(crossval, "fit", Fits(0.8, 0.8, 0.8))
    first = before.parts[0][0]
    altered = [replace(s, rings=(box(8, 8, 60, 80),)) if s.name == first.name else s for s in scenes]
    after = {p.name: p.size_px for p in cross_validate(seeing, altered, 3).predictions}
    for index, part in enumerate(before.parts):
        for prediction in part:
            assert prediction.size_px is not None
            assert (after[prediction.name] == pytest.approx(prediction.size_px, rel=1e-6)) == (index == 0)


def test_a_fold_can_stop_the_rest(even: Fits) -> None:
    told: list[tuple[int, Scores]] = []

    def stop_after_the_second(fold: int, scores: Scores) -> bool:
        told.append((fold, scores))
        return fold < 1

    result = cross_validate(TINY, SAMPLES, 3, on_fold=stop_after_the_second)
    assert len(even.seen) == len(result.fold_scores) == 2
    assert [fold for fold, _ in told] == [0, 1]
    assert len(result.predictions) == 4


def test_too_many_folds_for_the_scenes_is_a_sentence() -> None:
    with pytest.raises(DatasetError, match="largest number that fits is 6"):
        cross_validate(TINY, SAMPLES, 7)


def test_a_real_run_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    first = cross_validate(TINY, SAMPLES, 2, checkpoint_dir=tmp_path)
    done: list[int] = []
    again = cross_validate(TINY, SAMPLES, 2, checkpoint_dir=tmp_path, progress=lambda n, *_: done.append(n))
    assert done == []
    assert again.fold_scores == first.fold_scores
    assert all(p.probability.dtype == np.float16 for p in again.predictions)


def test_maps_that_were_made_by_other_tiles_are_not_taken(tmp_path: Path) -> None:
    whole = TINY.model_copy(update={"tile": 96, "overlap": 0})
    apart = TINY.model_copy(update={"tile": 32, "overlap": 0})
    first, again = (cross_validate(recipe, SAMPLES, 2, checkpoint_dir=tmp_path) for recipe in (whole, apart))
    assert len(list(tmp_path.glob("*.pt"))) == 2
    assert not np.array_equal(first.predictions[0].probability, again.predictions[0].probability)
