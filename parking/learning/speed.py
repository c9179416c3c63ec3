"""What a recipe's network costs to serve."""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.learning.network import build_network
from parking.learning.recipe import Recipe
from parking.learning.release import with_golden_tile
from parking.learning.rules import draft_contract

SIDE = 1024
GSD = 0.1
"""Metres per pixel of the megapixel that is served: what a coarser network saves counts."""

ROUNDS = 3


def serving_speed(recipe: Recipe, flips: bool = False, threads: int = 2) -> float:
    """Megapixels per second through the detector that serves, on `threads` CPU threads; weights do not matter.

    Args:
        recipe: whose network to build, untrained.
        flips: whether scenes are predicted in all eight orientations.
        threads: of ONNX Runtime.
    """
    from parking.learning.export import export_onnx

    bare = recipe.model_copy(update={"encoder_weights": "none", "device": "cpu"})
    network = build_network(bare).eval()
    with TemporaryDirectory() as folder:
        model = export_onnx(
            network, bare, Path(folder) / "model.onnx", with_golden_tile(draft_contract(bare), network, bare)
        )
        detector = Detector.load(model, threads=threads)
    scene = Raster(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8), gsd=GSD)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        detector.read(scene, tta=flips)
        times.append(time.perf_counter() - start)
    return SIDE * SIDE / 1e6 / median(times)
