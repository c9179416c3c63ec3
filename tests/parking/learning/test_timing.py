"""How long the parts of a training take."""

from collections.abc import Sequence

import pytest

from parking.detection.contract import Contract
from parking.learning import crossval
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.timing import measure_costs
from tests.parking.learning.scenes import TINY, make_samples


def test_what_is_no_step_is_measured_on_scenes_and_grows_with_them() -> None:
    samples = make_samples(4)
    little = measure_costs(TINY, samples, samples[:1], folds=2)
    assert min(little.folds, little.rules, little.test) > 0
    assert little.test < little.folds


def test_rules_are_timed_on_what_was_drawn_and_not_on_the_specks_of_an_untrained_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[ScenePrediction] = []

    def calibrated(contract: Contract, predictions: Sequence[ScenePrediction]) -> Contract:
        timed.extend(predictions)
        return contract

    monkeypatch.setattr(crossval, "calibrated", calibrated)
    measure_costs(TINY, make_samples(4), (), folds=2)
    assert timed
    for prediction in timed:
        inside, outside = prediction.probability[prediction.mask], prediction.probability[~prediction.mask]
        assert inside.mean() > 0.8
        assert outside.mean() < 0.2
