"""The losses against values worked out by hand, and at the extremes."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from parking.detection.contract import MapName
from parking.learning.losses import IGNORED, MAP_WEIGHTS, LossName, loss_of, loss_of_maps

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


def maps(*each: tuple[list[float], list[int]]) -> tuple[Tensor, Tensor]:
    """One tile of one row, in several maps."""
    logits = torch.tensor([[[row] for row, _ in each]], dtype=torch.float32)
    labels = torch.tensor([[row for _, row in each]], dtype=torch.uint8).permute(0, 2, 1)[:, None]
    return logits, labels


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_of_maps_add_up_by_their_weights(name: LossName) -> None:
    each = [([0.5, -1.0], [1, 0]), ([2.0, 0.0], [0, 1]), ([1.0, 1.0], [1, 1]), ([0.0, -3.0], [0, 0])]
    names: list[MapName] = ["probability", "vehicle", "free_core", "vehicle_core"]
    apart = [MAP_WEIGHTS[of] * loss_of(name, *batch(*one), 3.0) for of, one in zip(names, each, strict=True)]
    assert loss_of_maps(name, names, *maps(*each), 3.0).item() == pytest.approx(torch.stack(apart).sum().item())
    some = loss_of_maps(name, ["probability", "free_core"], *maps(each[0], each[2]), 3.0)
    assert some.item() == pytest.approx((apart[0] + apart[2]).item())


@pytest.mark.parametrize("name", LOSSES)
def test_a_map_that_nobody_annotated_teaches_nothing(name: LossName) -> None:
    logits, labels = maps(([0.5, -1.0], [1, 0]), ([2.0, -7.0], [IGNORED, IGNORED]))
    logits.requires_grad_()
    loss_of_maps(name, ["probability", "vehicle"], logits, labels, 3.0).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0, 0] != 0).all()
    assert (logits.grad[0, 1] == 0).all()
