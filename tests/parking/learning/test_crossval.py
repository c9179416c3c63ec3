"""Cross-validation: no scene is predicted by a network that has seen it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parking.data.snapshot import AnnotatedClass
from parking.detection.contract import Contract
from parking.errors import DatasetError
from parking.learning import crossval, evaluate
from parking.learning.crossval import calibrated, cross_validate, ious_apart, judge, run_folds
from parking.learning.evaluate import Scores, score
from parking.learning.recipe import Recipe
from parking.learning.rules import draft_contract
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.train import Fit
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, Colours, answered, box, make_samples, paint

SAMPLES = [paint(number, (box(4 + 8 * number, 10, 14, 28), box(18 + 8 * number, 10, 14, 28))) for number in range(6)]


class Fits:
    """Stands in for training: notes who learnt from what, and gives networks that see the truth, each as surely."""

    def __init__(self, *sureness: float) -> None:
        self.seen: list[tuple[set[str], set[str]]] = []
        self._sureness = sureness

    def __call__(self, recipe: Recipe, train: Sequence[Sample], validation: Sequence[Sample], **more: Any) -> Fit:
        sure = self._sureness[len(self.seen)]
        self.seen.append(({s.name for s in train}, {s.name for s in validation}))
        # Half as sure elsewhere: only a threshold between the two is right.
        return Fit(Colours(sure, sure / 2), recipe.steps, [])


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


def test_a_fold_chooses_nothing_of_what_it_is_scored_with(even: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[set[str]] = []
    scored: list[tuple[set[str], str]] = []
    real = evaluate.score

    def note(contract: Contract, predictions: Sequence[ScenePrediction]) -> Contract:
        used.append({prediction.name for prediction in predictions})
        return contract.model_copy(update={"dataset_version": str(len(used) - 1)})

    def score(predictions: Sequence[ScenePrediction], contract: Contract) -> Scores:
        scored.append(({prediction.name for prediction in predictions}, contract.dataset_version))
        return real(predictions, contract)

    parts = run_folds(TINY, SAMPLES, 3)
    monkeypatch.setattr(crossval, "calibrated", note)
    monkeypatch.setattr(crossval, "score", score)
    result = judge(parts, TINY)
    everything = {sample.name for sample in SAMPLES}
    assert [names for names, _ in scored] == [{p.name for p in part} for part in result.parts]
    for names, chosen_by in scored:
        assert used[int(chosen_by)] == everything - names
    assert used[int(result.contract.dataset_version)] == everything


def test_a_fold_that_is_alone_chooses_its_own(even: Fits) -> None:
    (part, *_) = run_folds(TINY, SAMPLES, 3)
    alone = judge([part], TINY)
    assert [scores.iou for scores in alone.fold_scores] == [1]


def test_a_fold_does_not_teach_what_texture_says_of_its_own_scenes(even: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[set[str]] = []
    monkeypatch.setattr(crossval, "fit_heads", lambda recipe, train: taught.append({s.name for s in train}))
    cross_validate(TINY, SAMPLES, 3)
    assert taught == [train for train, _ in even.seen]


def many(number: int) -> Sample:
    """Bays of a car park, every other one with a car, and another car on the lane."""
    bays = tuple(box(8 + 15 * n, 8 + 50 * row, 14, 28) for row in range(2) for n in range(8))
    cars = tuple(box(x + 2, y + 2, 10, 24) for (x, y), *_ in bays[1::2])
    free = bays[::2]
    annotated: tuple[AnnotatedClass, ...] = ("free", "vehicle", "stall")
    return paint(number, free, (*cars, box(140, 60, 10, 24)), size=160, stalls=bays, annotated=annotated)


def test_a_contract_is_calibrated_in_all_that_its_maps_can_tell() -> None:
    draft = draft_contract(TINY)
    predictions = answered([many(number) for number in range(4)], Colours(0.9, 0.1))
    contract = calibrated(draft, predictions)
    assert Contract.model_validate(contract.model_dump()) == contract
    assert 0.1 < contract.threshold <= 0.9
    assert contract.bays is not None
    assert contract.vehicles is not None
    assert contract.known_bays is not None
    assert contract.vehicle_length_m == pytest.approx(24 * TINY.gsd, rel=0.1)
    # All places that are found are free: they are surer than the network says.
    assert contract.place != draft.place
    assert contract.count.ratio == 1
    assert contract.count.dispersion < 0.1
    assert score(predictions, contract).place_ece < score(predictions, draft).place_ece


def test_only_what_was_annotated_teaches() -> None:
    place, cars = box(10, 10, 14, 28), tuple(box(34 + 12 * n, 50, 10, 25) for n in range(5))
    streets = [paint(n, (place,), (), annotated=("free",)) for n in range(3)]
    # Here the network finds a free place as well, and nobody said that it is none.
    traffic = [replace(paint(n, (place,), cars), rings=()) for n in range(3, 6)]
    traffic = [replace(s, scene=s.scene.model_copy(update={"rings": (), "annotated": ("vehicle",)})) for s in traffic]
    draft = draft_contract(TINY)
    alone, both = calibrated(draft, answered(streets)), calibrated(draft, answered([*streets, *traffic]))
    assert (both.threshold, both.bays, both.place, both.count) == (
        alone.threshold, alone.bays, alone.place, alone.count
    )  # fmt: skip
    assert alone.vehicles == draft.vehicles
    assert (alone.known_bays, alone.vehicle_length_m) == (None, draft.vehicle_length_m)
    assert both.vehicle_length_m == pytest.approx(25 * TINY.gsd, rel=0.1)


def test_a_model_of_one_map_is_calibrated_as_before() -> None:
    one = TINY.model_copy(update={"maps": ("probability",)})

    class OneMap(Colours):
        def forward(self, normalised: Any) -> Any:
            return super().forward(normalised)[:, :1]

    contract = calibrated(draft_contract(one), answered(SAMPLES, OneMap(), one))
    assert (contract.bays, contract.vehicles, contract.known_bays, contract.vehicle_length_m) == (None,) * 4
    assert contract.count.ratio > 0


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


@pytest.mark.e2e
def test_a_real_run_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    first = cross_validate(TINY, make_samples(6), 2, checkpoint_dir=tmp_path)
    done: list[int] = []
    again = cross_validate(TINY, make_samples(6), 2, checkpoint_dir=tmp_path, progress=lambda n, *_: done.append(n))
    assert done == []
    assert again.fold_scores == first.fold_scores
    assert again.contract.model_copy(update={"trained": first.contract.trained}) == first.contract
    assert all(p.probability.dtype == np.float16 for p in again.predictions)


def test_a_killed_run_goes_on_from_the_maps_of_its_finished_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):  # noqa: N818
        pass

    first = Fits(0.9)

    def killed(*given: Any, **more: Any) -> Fit:
        if first.seen:
            raise Killed
        return first(*given, **more)

    monkeypatch.setattr(crossval, "fit", killed)
    with pytest.raises(Killed):
        run_folds(TINY, SAMPLES, 3, checkpoint_dir=tmp_path)
    rest = Fits(0.9, 0.9)
    monkeypatch.setattr(crossval, "fit", rest)
    parts = run_folds(TINY, SAMPLES, 3, checkpoint_dir=tmp_path)
    assert len(rest.seen) == 2
    monkeypatch.setattr(crossval, "fit", Fits(0.9, 0.9, 0.9))
    for part, whole in zip(parts, run_folds(TINY, SAMPLES, 3), strict=True):
        for one, two in zip(part, whole, strict=True):
            assert list(one.maps) == list(two.maps)
            for name, values in one.maps.items():
                np.testing.assert_array_equal(values, two.maps[name])


@pytest.mark.e2e
def test_maps_that_were_made_by_other_tiles_are_not_taken(tmp_path: Path) -> None:
    whole = TINY.model_copy(update={"tile": 96, "overlap": 0})
    apart = TINY.model_copy(update={"tile": 32, "overlap": 0})
    first, again = (cross_validate(recipe, SAMPLES, 2, checkpoint_dir=tmp_path) for recipe in (whole, apart))
    assert len(list(tmp_path.glob("*.pt"))) == 2
    assert not np.array_equal(first.predictions[0].probability, again.predictions[0].probability)
