"""The losses against values worked out by hand, and at the extremes."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from parking.learning.losses import IGNORED, LossName, loss_of

LOSSES = get_args(LossName)


def batch(logits: list[float], labels: list[int]) -> tuple[Tensor, Tensor]:
    """One tile of one row."""
    return torch.tensor([[logits]], dtype=torch.float32), torch.tensor([[labels]], dtype=torch.uint8)


def test_cross_entropy_weighs_free_pixels() -> None:
    # At logit 0 each pixel costs log 2; the free one three times.
    assert loss_of("bce", *batch([0.0, 0.0], [1, 0]), 3.0).item() == pytest.approx(2 * math.log(2))


def test_dice_is_taken_over_the_whole_batch() -> None:
    # Probability 1/2 everywhere: hit 1/2, sums 1 and 1; with 1 added above and below.
    assert loss_of("dice", *batch([0.0, 0.0], [1, 0]), 3.0).item() == pytest.approx(1 - 1.5 / 2)
    logits, labels = torch.zeros(2, 1, 1), torch.tensor([[[1]], [[0]]], dtype=torch.uint8)
    assert loss_of("dice", logits, labels, 3.0).item() == pytest.approx(1 - 1.5 / 2)


def test_tversky_minds_a_miss_more_than_a_false_find() -> None:
    miss = loss_of("tversky", *batch([-20.0, -20.0], [1, 0]), 1.0)
    false = loss_of("tversky", *batch([20.0, 20.0], [0, 0]), 1.0)
    assert miss.item() == pytest.approx(1 - 1 / 1.7)
    assert false.item() == pytest.approx(1 - 1 / 1.6)


def test_focal_fades_where_the_answer_is_right() -> None:
    # At logit 0 the doubt is 1/4 of log 2.
    assert loss_of("focal", *batch([0.0], [0]), 3.0).item() == pytest.approx(math.log(2) / 4)
    assert loss_of("focal", *batch([0.0], [1]), 3.0).item() == pytest.approx(3 * math.log(2) / 4)
    assert loss_of("focal", *batch([6.0], [1]), 3.0).item() < 1e-4


def test_bce_and_dice_add_up() -> None:
    given = batch([0.3, -1.0, 2.0], [1, 0, 0])
    parts = loss_of("bce", *given, 2.0) + loss_of("dice", *given, 2.0)
    assert loss_of("bce+dice", *given, 2.0).item() == pytest.approx(parts.item())


@pytest.mark.parametrize("name", LOSSES)
def test_a_pixel_that_does_not_count_changes_nothing(name: LossName) -> None:
    without = loss_of(name, *batch([0.5, -0.5], [1, 0]), 3.0)
    assert loss_of(name, *batch([0.5, -0.5, 9.0], [1, 0, IGNORED]), 3.0).item() == pytest.approx(without.item())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("labels", [[1, 0], [0, 0], [IGNORED, IGNORED]], ids=["both", "nothing free", "nothing counts"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_loss_and_gradient_are_finite_at_the_extremes(name: LossName, labels: list[int], kind: torch.dtype) -> None:
    logits, target = batch([-300.0, 300.0], labels)
    logits = logits.to(kind).requires_grad_()
    loss = loss_of(name, logits, target, 10.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_answer_costs_less(name: LossName) -> None:
    right, wrong = batch([4.0, -4.0], [1, 0]), batch([-4.0, 4.0], [1, 0])
    assert loss_of(name, *right, 3.0) < loss_of(name, *wrong, 3.0)
