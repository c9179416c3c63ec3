"""The averaged weights of a fit: what is promised of them, whoever computes them."""

import pytest
import torch
from torch import nn

from parking.learning.state import averaged


def test_a_short_run_leaves_nothing_of_the_untrained_weights() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = averaged(network, 0.998)
    nn.init.constant_(network.weight, 0.0)
    for step in range(1, 61):
        average.update(network, step)
    assert average.module.state_dict()["weight"].item() < 1e-3


def test_the_decay_grows_to_its_full_value() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = averaged(network, 0.5)
    nn.init.constant_(network.weight, 1.0)
    average.update(network, 2)
    assert average.module.state_dict()["weight"].item() == pytest.approx(0.9)
    average.update(network, 1000)
    assert average.module.state_dict()["weight"].item() == pytest.approx(0.95)


def test_batch_norm_statistics_are_averaged_and_counts_copied() -> None:
    network = nn.BatchNorm1d(2)
    average = averaged(network, 0.9)
    network(torch.full((4, 2), 50.0))
    average.update(network, 2)
    state = average.module.state_dict()
    assert state["running_mean"].tolist() == pytest.approx([4.5, 4.5])
    assert state["num_batches_tracked"].item() == 1
