"""The state of a fit from step to step, and one training step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from parking.learning.hardware import training_logits
from parking.learning.losses import loss_of_maps
from parking.learning.network import PixelNetwork, build_network
from parking.learning.recipe import Recipe

__all__ = ["Record", "TrainingState"]

Record = dict[str, float]

_RISE_SHARE = 0.2
"""Share of the steps in which the learning rate rises."""


def averaged(network: nn.Module, decay: float) -> ModelEmaV3:
    """An exponential moving average of parameters and batch-norm statistics; it predicts better than the last step.

    After n steps the decay is (n - 1) / (n + 8), until it reaches its full value. The full value from the first step
    would keep a large part of the untrained weights in the average of a short run.
    """
    return ModelEmaV3(network, decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0)


@dataclass
class Best:
    """The best validation round so far."""

    iou: float
    step: int
    weights: dict[str, Tensor]


class TrainingState:
    """Network, average, optimiser and schedule of a fit, with its history."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        self.network = build_network(recipe).to(device).to(memory_format=torch.channels_last)
        self.network.train()
        self.average = averaged(self.network, recipe.ema_decay)
        self.step = 0
        self.history: list[Record] = []
        self.best: Best | None = None
        self.rounds_without_gain = 0
        self._pixels = PixelNetwork(self.network, recipe).to(device)
        self._optimiser = AdamW(_groups(self.network, recipe), lr=recipe.learning_rate, fused=True)
        self._schedule = _one_cycle(self._optimiser, recipe)

    @property
    def is_over(self) -> bool:
        """Whether all steps are made, or validation stopped them."""
        return self.step >= self.recipe.steps or self.rounds_without_gain >= self.recipe.patience

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with the weights of another network of the same recipe."""
        self.network.load_state_dict(weights)
        self.average = averaged(self.network, self.recipe.ema_decay)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimiser.param_groups[0]["lr"])

    def learn(self, tiles: Tensor, labels: Tensor) -> Tensor:
        """Make one step.

        Args:
            tiles: RGB, uint8 (N, H, W, 3).
            labels: uint8 (N, H, W, K), see `parking.learning.targets`.

        Returns:
            The loss before the step, still on the device: reading it waits for the GPU.
        """
        tiles, labels = (t.to(self.device, non_blocking=True) for t in (tiles, labels))
        logits = training_logits(self._pixels, tiles)
        loss = loss_of_maps(self.recipe.loss, self.recipe.maps, logits, labels, self.recipe.positive_weight)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self._optimiser.step()
        self._schedule.step()
        self.step += 1
        self.average.update(self.network, self.step)
        return loss.detach()

    def record_round(self, iou: float, threshold: float) -> bool:
        """Record a validation round; true, and its weights are kept, if it is the best so far."""
        self.history.append({"step": self.step, "validation_iou": iou, "validation_threshold": threshold})
        if self.best is not None and iou <= self.best.iou:
            self.rounds_without_gain += 1
            return False
        weights = {name: value.detach().cpu().clone() for name, value in self.average.module.state_dict().items()}
        self.best, self.rounds_without_gain = Best(iou, self.step, weights), 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; after the last step, only the result."""
        result = {
            "step": self.step,
            "average": self.average.module.state_dict(),
            "history": self.history,
            "best": vars(self.best) if self.best else None,
            "rounds_without_gain": self.rounds_without_gain,
        }
        if self.is_over:
            return result
        return result | {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": _random_state(self.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.step = state["step"]
        self.average.module.load_state_dict(state["average"])
        self.history = state["history"]
        self.best = Best(**state["best"]) if state["best"] else None
        self.rounds_without_gain = state["rounds_without_gain"]
        if self.is_over:
            return
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        _set_random_state(self.device, state["random"])


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weights that decay, and biases and norms, which would only lose their scale by it."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _one_cycle(optimiser: AdamW, recipe: Recipe) -> OneCycleLR:
    """Up and down once over the fit (Smith and Topin, 2019)."""
    total = recipe.steps + 1
    # A rise of exactly one step would be divided by its length less one.
    rise = max(_RISE_SHARE, 1.5 / total)
    return OneCycleLR(optimiser, recipe.learning_rate, total_steps=total, pct_start=rise)


def _random_state(device: torch.device) -> list[Tensor]:
    """Some encoders drop connections at random."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def _set_random_state(device: torch.device, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda" and len(state) > 1:
        torch.cuda.set_rng_state(state[1], device)
