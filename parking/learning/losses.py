"""Losses for a rare class, from logits and labels with ignored pixels."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from parking.detection.contract import MapName

__all__ = ["IGNORED", "loss_of_maps"]

IGNORED = 255
"""Label of a pixel that every loss ignores."""

LossName = Literal["bce", "dice", "bce+dice", "tversky", "focal"]

_SMOOTH = 1.0
_FALSE_POSITIVE_SHARE = 0.3
_FOCUS = 2.0


MAP_WEIGHTS: dict[MapName, float] = {"probability": 1.0, "vehicle": 0.6, "free_core": 1.0, "vehicle_core": 0.5}
"""Of the losses of each map: places are what the network is for."""


def loss_of_maps(
    name: LossName, maps: Sequence[MapName], logits: Tensor, labels: Tensor, positive_weight: float
) -> Tensor:
    """The weighted sum of the losses of each map.

    Args:
        name: which loss.
        maps: names of the K maps.
        logits: (N, K, H, W).
        labels: uint8 (N, H, W, K), see `parking.learning.targets`.
        positive_weight: see `loss_of`.
    """
    each = zip(maps, logits.unbind(1), labels.unbind(3), strict=True)
    losses = [MAP_WEIGHTS[one] * loss_of(name, given, true, positive_weight) for one, given, true in each]
    return torch.stack(losses).sum()


def loss_of(name: LossName, logits: Tensor, labels: Tensor, positive_weight: float) -> Tensor:
    """The loss of a batch, of one map.

    Overlap losses (Dice, Tversky) are taken over the whole batch at once: a crop without a free place would give them
    nothing to overlap with.

    Args:
        name: which loss.
        logits: (N, H, W), any float type; the sums are made in float32.
        labels: uint8 (N, H, W): 1 the class, 0 not, `IGNORED` does not count.
        positive_weight: weight of a pixel of the class in `bce` and `focal`.

    Returns:
        A scalar; 0 for a batch in which nothing counts.
    """
    logits = logits.float()
    counts = (labels != IGNORED).float()
    free = (labels == 1).float()
    match name:
        case "bce":
            return _cross_entropy(logits, free, counts, positive_weight)
        case "dice":
            return _tversky(logits, free, counts, 0.5)
        case "bce+dice":
            return _cross_entropy(logits, free, counts, positive_weight) + _tversky(logits, free, counts, 0.5)
        case "tversky":
            return _tversky(logits, free, counts, _FALSE_POSITIVE_SHARE)
        case "focal":
            return _focal(logits, free, counts, positive_weight)


def _cross_entropy(logits: Tensor, free: Tensor, counts: Tensor, positive_weight: float) -> Tensor:
    weight = logits.new_tensor(positive_weight)
    each = binary_cross_entropy_with_logits(logits, free, weight=counts, pos_weight=weight, reduction="sum")
    return each / counts.sum().clamp_min(1.0)


def _tversky(logits: Tensor, free: Tensor, counts: Tensor, false_positive_share: float) -> Tensor:
    """1 - Tversky index (Salehi et al., 2017); equal shares make it Dice (Milletari et al., 2016)."""
    probability = torch.sigmoid(logits) * counts
    hit = (probability * free).sum()
    false_positive = probability.sum() - hit
    missed = free.sum() - hit
    wrong = false_positive_share * false_positive + (1 - false_positive_share) * missed
    return 1 - (hit + _SMOOTH) / (hit + wrong + _SMOOTH)


def _focal(logits: Tensor, free: Tensor, counts: Tensor, positive_weight: float) -> Tensor:
    """Cross-entropy that fades where the network is right already (Lin et al., 2017)."""
    cross_entropy = binary_cross_entropy_with_logits(logits, free, reduction="none")
    # exp(-cross entropy) is the probability given to the truth: no second sigmoid, no underflow.
    doubt = (1 - torch.exp(-cross_entropy)) ** _FOCUS
    weight = 1 + (positive_weight - 1) * free
    return (weight * doubt * cross_entropy * counts).sum() / counts.sum().clamp_min(1.0)
