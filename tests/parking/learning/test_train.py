"""Training: it learns, it goes on where it stopped, and it says what is wrong."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from parking.errors import TrainingError
from parking.learning import state, train
from parking.learning.losses import loss_of_maps
from parking.learning.metrics import Histogram
from parking.learning.network import PixelNetwork
from parking.learning.recipe import Recipe
from parking.learning.targets import view_of
from parking.learning.train import fit, predict, seconds_per_step
from parking.progress import Progress
from tests.parking.learning.scenes import TINY, box, make_samples, paint

pytestmark = pytest.mark.e2e

SAMPLES = make_samples(4)


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(TINY.model_dump() | changes)


def weights(fitted: train.Fit) -> dict[str, Tensor]:
    return fitted.network.state_dict()


def assert_same(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], msg=name)


class Killed(Exception):  # noqa: N818
    """What a signal does to a run."""


def kill_at(step: int) -> Progress:
    def progress(done: int, total: int, what: str) -> None:
        if done == step:
            raise Killed

    return progress


def test_it_learns_to_find_bright_places() -> None:
    learnt = recipe(steps=40, batch=4, learning_rate=5e-3, encoder_weights="imagenet")
    fitted = fit(learnt, SAMPLES)
    unseen = make_samples(7)[4:]
    histogram = sum(
        (Histogram.of(predict(fitted.network, learnt, s.pixels), s.mask) for s in unseen), start=Histogram.empty()
    )
    assert histogram.best_threshold()[1] > 0.6
    losses = [record["loss"] for record in fitted.history]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_generated_scenes_are_learnt_from_first_and_once_for_all_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Tensor]] = []
    begin = state.TrainingState.start_from

    def note(self: state.TrainingState, given: dict[str, Tensor]) -> None:
        started.append({name: value.clone() for name, value in given.items()})
        begin(self, given)

    monkeypatch.setattr(state.TrainingState, "start_from", note)
    told: list[str] = []

    def run(rate: float) -> None:
        trial = recipe(pretrain_scenes=1, pretrain_steps=3, learning_rate=rate)
        fit(trial, SAMPLES, checkpoint=tmp_path / f"{rate}.pt", progress=lambda *words: told.append(str(words[2])))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, (1e-3, 5e-3)))
    assert sum("generated scenes first" in what for what in told) == 3
    assert len(list(tmp_path.glob("*-generated1.pt"))) == 1
    assert_same(*started)
    fresh = weights(fit(recipe(steps=1), SAMPLES))
    assert any(not torch.equal(value, fresh[name]) for name, value in started[0].items())


def test_a_fit_can_be_repeated() -> None:
    assert_same(weights(fit(TINY, SAMPLES)), weights(fit(TINY, SAMPLES)))


def test_crops_cut_by_another_process_are_the_same() -> None:
    assert_same(weights(fit(TINY, SAMPLES)), weights(fit(recipe(workers=1), SAMPLES)))


def test_a_killed_fit_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "fit.pt"
    whole = fit(TINY, SAMPLES, SAMPLES[:1])
    with pytest.raises(Killed):
        fit(TINY, SAMPLES, SAMPLES[:1], checkpoint=path, progress=kill_at(4))
    steps: list[int] = []
    resumed = fit(TINY, SAMPLES, SAMPLES[:1], checkpoint=path, progress=lambda done, *_: steps.append(done))
    assert steps[0] == 4
    assert_same(weights(whole), weights(resumed))
    assert [r.keys() for r in resumed.history] == [r.keys() for r in whole.history]


def test_a_finished_fit_comes_back_without_a_step(tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    first = fit(TINY, SAMPLES, checkpoint=path)
    second = fit(TINY, SAMPLES, checkpoint=path, progress=kill_at(4))
    assert second.steps == 4
    assert_same(weights(first), weights(second))


@pytest.mark.parametrize("other", ["recipe", "scenes", "damaged"])
def test_a_checkpoint_of_something_else_is_not_used(tmp_path: Path, other: str) -> None:
    path = tmp_path / "fit.pt"
    fit(recipe(learning_rate=5e-3) if other == "recipe" else TINY, SAMPLES[:2], checkpoint=path)
    if other == "damaged":
        path.write_bytes(path.read_bytes()[:1000])
    mine = SAMPLES if other == "scenes" else SAMPLES[:2]
    assert_same(weights(fit(TINY, mine, checkpoint=path)), weights(fit(TINY, mine)))


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    real, calls = loss_of_maps, [0]

    def breaks_at_the_third(*given: object) -> Tensor:
        calls[0] += 1
        loss = real(*given)  # type: ignore[arg-type]
        return loss * float("nan") if calls[0] == 3 else loss

    monkeypatch.setattr(state, "loss_of_maps", breaks_at_the_third)
    path = tmp_path / "fit.pt"
    with pytest.raises(TrainingError, match=rf"step 3 of 4; the last checkpoint is {path}"):
        fit(TINY, SAMPLES, checkpoint=path)
    assert torch.load(path, weights_only=True)["step"] == 2


def test_the_best_round_is_kept_and_a_fit_that_gains_nothing_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    ious = iter([0.3, 0.5, 0.4, 0.2, 0.1, 0.1])
    monkeypatch.setattr(Histogram, "best_threshold", lambda self: (0.5, next(ious)))
    rounds: list[dict[str, Tensor]] = []
    record = state.TrainingState.record_round

    def note(self: state.TrainingState, iou: float, threshold: float) -> bool:
        rounds.append({name: value.clone() for name, value in self.average.module.state_dict().items()})
        return record(self, iou, threshold)

    monkeypatch.setattr(state.TrainingState, "record_round", note)
    patient = recipe(steps=12, evaluations=6, patience=2)
    fitted = fit(patient, SAMPLES, SAMPLES[:1])
    assert fitted.steps == 8
    assert len(rounds) == 4
    assert_same(weights(fitted), rounds[1])
    assert any(not torch.equal(value, rounds[3][name]) for name, value in weights(fitted).items())


def test_without_validation_scenes_nothing_is_chosen() -> None:
    fitted = fit(TINY, SAMPLES)
    assert all("validation_iou" not in record for record in fitted.history)
    assert fitted.steps == 4


def test_scenes_that_say_nothing_of_free_places_choose_no_round() -> None:
    traffic = paint(0, (), (box(10, 10, 10, 25),), annotated=("vehicle",))
    fitted = fit(TINY, [*SAMPLES[:2], traffic], [traffic])
    assert {record["validation_iou"] for record in fitted.history if "validation_iou" in record} == {0.0}


def test_it_learns_where_only_vehicles_were_annotated() -> None:
    learnt = recipe(steps=40, batch=4, learning_rate=5e-3, encoder_weights="imagenet", free_share=1.0)
    cars = [paint(n, (), (box(10 + 8 * n, 20, 16, 36),), gsd=None, annotated=("vehicle",)) for n in range(5)]
    fitted = fit(learnt, cars[:4])
    model = PixelNetwork(fitted.network, learnt).eval()
    with torch.inference_mode():
        answer = model(torch.from_numpy(cars[4].pixels[None]))[0, 1].numpy()
    inside = view_of(cars[4], ("probability", "vehicle"), 0.2).labels[..., 1] == 1
    assert answer[inside].mean() > answer[~inside].mean() + 0.3


def test_no_scenes_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match="no scene to train on"):
        fit(TINY, [])


def test_the_time_of_a_step_is_measured_without_a_trace() -> None:
    before = torch.get_rng_state()
    assert 0 < seconds_per_step(TINY, SAMPLES) < 60
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [(1, 1), (40, 200), (200, 131)])
def test_any_size_can_be_predicted(size: tuple[int, int]) -> None:
    fitted = fit(recipe(steps=1), SAMPLES[:1])
    probability = predict(fitted.network, TINY, np.full((*size, 3), 90, np.uint8))
    assert probability.shape == size
    assert probability.dtype == np.float32
    assert 0 <= probability.min() <= probability.max() <= 1
