"""An average of the weights over the last steps, which predicts better than the last step's own."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedNetwork:
    """Exponential moving average of a network's parameters and batch-norm statistics, warmed up.

    The decay starts near 0.1 and grows to its full value: a full decay from the first step would keep a large part of
    the untrained weights in the average of a short run.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network's weights after its step number `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        mine, theirs = _tensors(self.network), _tensors(network)
        pairs = list(zip(mine, theirs, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        average([a for a, _ in floats], [b for _, b in floats], None)
        for average_count, count in pairs:
            if not average_count.is_floating_point():
                average_count.copy_(count)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
