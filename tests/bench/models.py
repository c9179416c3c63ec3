"""The network of the default recipe, untrained: as much work as a trained one, and no data needed."""

from pathlib import Path

import torch

from parking.detection.golden import decode_tile
from parking.learning.export import export_onnx, golden_grid
from parking.learning.network import build_network
from parking.learning.recipe import Recipe
from tests import doubles


def write_network(path: Path) -> Path:
    """Export it; it finds nothing, so that what is measured is decoding and inference, as on most images."""
    torch.manual_seed(0)
    recipe = Recipe(encoder_weights="none")
    network = build_network(recipe)
    tile = decode_tile(doubles.contract().golden_tile)
    contract = doubles.contract(
        gsd=recipe.gsd,
        tile=recipe.tile,
        overlap=recipe.overlap,
        threshold=0.999,
        golden_grid=golden_grid(network, recipe, tile),
    )
    return export_onnx(network, recipe, path, contract)
