"""Speed-ups of training on this machine: bfloat16 if it is faster, and reuse of memory."""

import ctypes
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from parking.learning.network import PixelNetwork

__all__ = ["keep_freed_memory", "probability", "training_logits"]

# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def training_logits(model: PixelNetwork, tiles: Tensor) -> Tensor:
    """Logits of a training step, in the precision in which the step is fastest.

    A GPU makes the whole step in bfloat16. On a CPU with such instructions the decoder alone does, which takes most of
    the time: there the backward pass of the encoder's depthwise convolutions is slower in bfloat16 than in float32.

    Args:
        model: on the device of the tiles.
        tiles: RGB, uint8 (N, H, W, 3).

    Returns:
        (N, K, H, W).
    """
    if tiles.device.type == "cuda":
        with _bfloat16(tiles.device):
            return model.logits(tiles)
    network = cast(Any, model.network)
    features = network.encoder(model.normalise(tiles))
    with _bfloat16(tiles.device):
        return cast(Tensor, network.segmentation_head(network.decoder(features)))


def probability(model: nn.Module, tiles: Tensor) -> Any:  # noqa: ANN401 - whatever the model answers with
    """Outputs of a model outside of training; see `PixelNetwork`. On a GPU in float32."""
    if tiles.device.type == "cuda":
        return model(tiles)
    with _bfloat16(tiles.device):
        return model(tiles)


def _bfloat16(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or _cpu_is_fast())


@cache
def _cpu_is_fast() -> bool:
    """Whether the CPU has instructions for bfloat16; without them oneDNN emulates it slowly."""
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


@cache
def keep_freed_memory() -> None:
    """Let the C library reuse large blocks instead of returning each to the system; once per process.

    Every training step on a CPU frees and allocates hundreds of megabytes, and the system clears each new page: that
    was a quarter of a step's time. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
