"""What a survey costs beside its network: a drawn mosaic, block by block, against a bare loop over the same tiles.

uv run python -m tests.bench.survey [--megapixels N …] [--block PIXELS] [--json]

Each size runs in a process of its own, for its peak of memory. Beside the time that passes it tells processor seconds,
which a busy machine does not change.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from parking.data.synthetic import generate_scene
from parking.detection.detector import Detector
from parking.shipped import shipped_model
from parking.survey.blocks import survey_block
from parking.survey.plan import make_frame, make_layers, make_plan
from parking.survey.records import BlockRecord, cells_of, encode, rows_of
from parking.survey.sources import find_sources

SCENE = 1024
"""Pixels along the edge of the scene that the mosaic repeats."""


def draw_mosaic(path: Path, megapixels: float, gsd: float) -> None:
    """A GeoTIFF of about so many pixels, of a drawn scene repeated."""
    across = max(1, round((megapixels * 1e6) ** 0.5 / SCENE))
    scene = np.moveaxis(generate_scene(1, SCENE).raster.pixels, 2, 0)
    side = across * SCENE
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True}
    transform = Affine(gsd, 0, 652_000, 0, -gsd, 6_862_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:2154", transform=transform, compress="deflate") as file:
        for row in range(across):
            for column in range(across):
                file.write(scene, window=Window(column * SCENE, row * SCENE, SCENE, SCENE))


def measure(megapixels: float, block: int) -> dict[str, Any]:
    """One survey in this process, and the bare loop over as many tiles."""
    detector = Detector.load(shipped_model(), threads=1)
    with tempfile.TemporaryDirectory() as folder:
        draw_mosaic(Path(folder) / "mosaic.tif", megapixels, detector.contract.gsd)
        sources = find_sources([folder], detector.contract.gsd)
        grid = make_frame(sources, detector.contract.gsd).grid
        plan = make_plan(grid, make_layers(sources, {}), detector.contract, block, None)
        detector.warm()
        wall, begun = time.perf_counter(), time.process_time()
        pixels = tiles = places = size = 0
        for one in plan.blocks:
            layers = plan.there(one)
            content = survey_block(detector, layers, plan.grid, plan.tiling, one, None)
            cells = cells_of(content.valid, 0, 0, plan.grid)
            size += len(encode(BlockRecord(rows_of(content, layers, plan.grid), 0, 0, 0.0, cells)))
            pixels += int(np.count_nonzero(content.valid))
            tiles += content.tiles
            places += len(content.places)
        spent, wall = time.process_time() - begun, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    some = min(tiles, 24)
    tile = generate_scene(1, SCENE).raster.pixels[: detector.contract.tile, : detector.contract.tile]
    begun = time.process_time()
    for _ in range(some):
        detector.run_tile(tile)
    bare = (time.process_time() - begun) / some * tiles
    return {
        "megapixels": round(pixels / 1e6, 1),
        "blocks": len(plan.blocks),
        "tiles": tiles,
        "places": places,
        "seconds": round(wall, 1),
        "cpu_seconds": round(spent, 1),
        "share_of_bare_loop": round(bare / spent, 3),
        "pixels_per_cpu_second": round(pixels / spent),
        "peak_mib": round(peak),
        "result_bytes": size,
    }


def main() -> None:
    """Measure each size in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[4.0, 16.0])
    parser.add_argument("--block", type=int, default=4096)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(measure(asked.megapixels[0], asked.block)))
        return
    rows = []
    for size in asked.megapixels:
        command = [sys.executable, "-m", "tests.bench.survey", "--alone", "--megapixels", str(size)]
        done = subprocess.run([*command, "--block", str(asked.block)], capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
        if not asked.json:
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if asked.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
