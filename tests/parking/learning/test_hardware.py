"""bfloat16 changes how fast a network learns and predicts, and next to nothing of the result."""

import pytest
import torch
from torch import Tensor, nn

from parking.learning import hardware
from parking.learning.hardware import probability, training_logits
from parking.learning.network import PixelNetwork, build_network
from tests.parking.learning.scenes import TINY

TILES = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> PixelNetwork:
    return PixelNetwork(build_network(TINY), TINY)


def cpu(monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> None:
    """A CPU with instructions for bfloat16, or without."""
    monkeypatch.setattr(hardware, "_cpu_is_fast", lambda: fast)


def types_of(convolutions: nn.Module) -> set[torch.dtype]:
    """Filled with what the convolutions of a module answer in, as they are called."""
    seen: set[torch.dtype] = set()
    for module in convolutions.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, answer: seen.add(answer.dtype))
    return seen


@pytest.mark.parametrize("fast", [True, False])
def test_of_a_step_on_a_cpu_only_the_decoder_is_made_in_bfloat16(
    model: PixelNetwork, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    cpu(monkeypatch, fast=fast)
    encoder, decoder = types_of(model.network.encoder), types_of(model.network.decoder)  # type: ignore[arg-type]
    training_logits(model, TILES)
    assert encoder == {torch.float32}
    assert decoder == {torch.bfloat16 if fast else torch.float32}


def test_a_step_in_float32_is_the_network_itself(model: PixelNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(monkeypatch, fast=False)
    model.eval()
    torch.testing.assert_close(training_logits(model, TILES), model.logits(TILES))


def test_a_step_in_bfloat16_goes_where_one_in_float32_goes(
    model: PixelNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradient(*, fast: bool) -> Tensor:
        cpu(monkeypatch, fast=fast)
        model.zero_grad()
        training_logits(model, TILES).float().square().mean().backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.flatten() for p in model.network.decoder.parameters()])  # type: ignore[union-attr]

    assert torch.cosine_similarity(gradient(fast=True), gradient(fast=False), dim=0) > 0.99


def test_what_is_answered_in_bfloat16_is_a_float_and_nearly_the_same(
    model: PixelNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.eval()
    answers = []
    with torch.inference_mode():
        for fast in (True, False):
            cpu(monkeypatch, fast=fast)
            answers.append(probability(model, TILES))
    assert answers[0].dtype == torch.float32
    assert not torch.equal(*answers)
    torch.testing.assert_close(answers[0], answers[1], atol=0.02, rtol=0)
