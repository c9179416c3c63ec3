"""bfloat16 where a device computes in it faster: half the bits of a float, the same range, and sums in float32."""

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from parking.learning.network import PixelNetwork


def training_logits(model: PixelNetwork, tiles: Tensor) -> Tensor:
    """Logits of a training step, in the precision that the step is fastest in.

    A GPU makes the whole step in bfloat16. On a CPU with such instructions the decoder alone does, which takes most of
    the time: the way back through the encoder's depthwise convolutions is slower in bfloat16 than in float32 there.

    Args:
        model: on the device of the tiles.
        tiles: RGB, uint8 (N, H, W, 3).

    Returns:
        (N, H, W).
    """
    if tiles.device.type == "cuda":
        with _bfloat16(tiles.device):
            return model.logits(tiles)
    network = cast(Any, model.network)
    features = network.encoder(model.normalise(tiles))
    with _bfloat16(tiles.device):
        return cast(Tensor, network.segmentation_head(network.decoder(features))).squeeze(1)


def probability(model: nn.Module, tiles: Tensor) -> Tensor:
    """What a model answers when nothing is learnt from it; see `PixelNetwork`. A GPU answers in float32."""
    if tiles.device.type == "cuda":
        return cast(Tensor, model(tiles))
    with _bfloat16(tiles.device):
        return cast(Tensor, model(tiles))


def _bfloat16(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or _cpu_is_fast())


@lru_cache(maxsize=1)
def _cpu_is_fast() -> bool:
    """Whether the CPU multiplies bfloat16; where it does not, oneDNN would imitate it slowly."""
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
