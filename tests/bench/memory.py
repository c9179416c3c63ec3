"""Peak memory of one large image, from its bytes to its places, without the network.

uv run python -m tests.bench.memory [--side PIXELS] [--whole]

A network that finds nothing takes the place of the shipped model: what is measured is decoding, resampling, and maps.
Each case is a process of its own. `--whole` decodes images as `parking predict` does, which draws on their pixels.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

from parking.data.imagery import read_raster
from parking.detection.contract import read_contract
from parking.detection.detector import Detector
from parking.detection.onnx_model import Signature
from parking.shipped import shipped_model

GSD = 0.05
CASES = {"png": (None, GSD), "jpg": (None, GSD), "tif": (None,)}
"""Resolutions that a caller gives; a GeoTIFF knows its own, which is that."""


class Nothing:
    """A model of the shipped contract that finds nothing."""

    metadata: dict[str, str] = {}  # noqa: RUF012 - as the protocol has it
    signature = Signature((), tuple((name, "") for name in (*read_contract(shipped_model()).maps, "size")))
    tolerance = 0.0

    def run(self, outputs: list[str], tiles: NDArray[np.uint8]) -> list[Any]:
        """Maps of zeros, and places of 20 pixels."""
        return [np.full((len(tiles), 1), 3.0) if name == "size" else np.zeros(tiles.shape[:3]) for name in outputs]

    def warm(self, outputs: list[str], tiles: NDArray[np.uint8]) -> None:
        """Nothing to warm."""


def write_images(folder: Path, side: int) -> None:
    """The same smooth noise in three formats."""
    noise = np.random.default_rng(0).integers(0, 255, (side // 8, side // 8, 3), np.uint8)
    pixels = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    for form in ("png", "jpg"):
        cv2.imwrite(str(folder / f"large.{form}"), pixels)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "compress": "deflate"}
    lambert = rasterio.Affine(GSD, 0, 700_000, 0, -GSD, 6_600_000)
    with rasterio.open(folder / "large.tif", "w", crs="EPSG:2154", transform=lambert, tiled=True, **profile) as file:
        file.write(np.moveaxis(pixels, 2, 0))


def measure(path: Path, gsd: float | None, whole: bool) -> None:
    """Print what one image takes, beyond what is there before it."""
    contract = read_contract(shipped_model())
    detector, before = Detector(Nothing(), contract, ""), peak_mb()
    raster = read_raster(path.read_bytes(), gsd=gsd, finest=None if whole else contract.gsd)
    decoded = peak_mb()
    detector.detect(raster).in_file(raster)
    known = f"{raster.frame.gsd:.2g} m a pixel" if raster.frame.gsd else "unknown resolution"
    print(f"| {path.suffix[1:]}, {known} | {decoded - before:.0f} | {peak_mb() - before:.0f} |")


def peak_mb() -> float:
    """Most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    """Measure all cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=8000, help="of the image, in pixels")
    parser.add_argument("--whole", action="store_true", help="decode all of it, as for a drawing")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    whole = ["--whole"] if options.whole else []
    if options.one:
        measure(Path(options.one[0]), float(options.one[1]) or None, options.whole)
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, too: a child's peak counts from that of its parent on.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(write_images, Path(folder), options.side).result()
        print("| image | decoding, MB | in all, MB |\n| --- | --- | --- |", flush=True)
        for form, resolutions in CASES.items():
            for gsd in resolutions:
                one = ["--one", str(Path(folder) / f"large.{form}"), str(gsd or 0)]
                subprocess.run([sys.executable, "-m", "tests.bench.memory", *one, *whole], check=True)


if __name__ == "__main__":
    main()
