"""How long the parts of a training take."""

from parking.learning.timing import measure_costs
from tests.parking.learning.scenes import TINY, make_samples


def test_what_is_no_step_is_measured_on_scenes_and_grows_with_them() -> None:
    samples = make_samples(4)
    little = measure_costs(TINY, samples, samples[:1], folds=2)
    assert min(little.folds, little.rules, little.test) > 0
    assert little.test < little.folds
