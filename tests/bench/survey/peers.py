"""Peers that read a large raster window by window, with our model: time, memory, and what happens at their seams.

Each is set up as its own documentation has it, in an environment that is made for it (`uv run --with`), on one thread:

- supervision's `InferenceSlicer` over an open rasterio dataset, with its own size of slices and overlap;
- MONAI's `sliding_window_inference` over windows of our tile's size, with its own overlap;
- Raster Vision's windows over a scene, of our tile's size, with the stride and the cropped edges of its tutorial on
  ONNX models. The predictions that go into its smooth labels are not its learner's, which would feed the model floats
  and take the softmax of one of its maps.

The model is ours, and so is what makes places of their maps; vehicles and files are ours alone. What they find is held
against the same file read in one piece.
"""

import importlib
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from parking.detection.contract import STRIDE, Contract
from parking.detection.detector import Detector
from parking.detection.places import find_places
from parking.shipped import shipped_model
from parking.survey.blocks import Block, survey_block
from parking.survey.plan import Plan
from tests.bench.survey import rates

PEERS = {
    "supervision": ("supervision==0.31.2",),
    "monai": ("monai==1.6.1",),
    "rastervision": ("rastervision-core==0.31.1", "rastervision-pytorch-learner==0.31.1"),
}
"""What is installed for each."""

_ALIKE = 0.5
"""IoU from which two outlines are of one place."""


def beside(mosaic: Path, folder: Path) -> dict[str, Any]:
    """Every peer, and ours, on one file."""
    whole = _alone("whole", mosaic, folder)
    reference = _outlines(folder / "whole.json")
    found: dict[str, Any] = {"whole": whole}
    for name in ("ours", *PEERS):
        took = _alone(name, mosaic, folder)
        found[name] = took | against(_outlines(folder / f"{name}.json"), reference)
    return found


def _alone(name: str, mosaic: Path, folder: Path) -> dict[str, Any]:
    uv = ["uv", "run", "--no-sync", *(f"--with={package}" for package in PEERS.get(name, ())), "python"]
    command = [*uv, "-m", "tests.bench.survey", "--one", "peer", name, str(mosaic), str(folder / f"{name}.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it ended"}
    took: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return took


def _outlines(file: Path) -> NDArray[np.object_]:
    return np.array([shapely.Polygon(ring) for ring in json.loads(file.read_text())], object)


def against(found: NDArray[np.object_], reference: NDArray[np.object_]) -> dict[str, Any]:
    """Places found twice, and those of the reference that are lost or come on top."""
    tree = shapely.STRtree(found)
    first, second = tree.query(found, "intersects")
    pairs = first < second
    common = shapely.area(shapely.intersection(found[first[pairs]], found[second[pairs]]))
    smaller = np.minimum(shapely.area(found[first[pairs]]), shapely.area(found[second[pairs]]))
    which, other = tree.query(reference, "intersects")
    shared = shapely.area(shapely.intersection(reference[which], found[other]))
    alike = shared / shapely.area(shapely.union(reference[which], found[other])) >= _ALIKE
    return {
        "doubled": int((common > _ALIKE * smaller).sum()),
        "lost": len(reference) - len(np.unique(which[alike])),
        "added": len(found) - len(np.unique(other[alike])),
    }


def run(name: str, mosaic: Path, out: Path) -> dict[str, Any]:
    """One of them in this process; outlines in pixels of the file go into `out`."""
    if name == "ours":
        return _ours(mosaic, out)
    detector = Detector.load(shipped_model(), threads=1)
    detector.warm()
    # As for our worker, imports are nobody's cost.
    for module in _IMPORTED.get(name, ()):
        importlib.import_module(module)
    before = rates.clocks()
    with rasterio.open(mosaic) as dataset:
        rings = _WAYS[name](detector, dataset)
    cpu, wall = rates.clocks() - before
    out.write_text(json.dumps(rings))
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_mib": rates.peak_mib(), "places": len(rings)}


Rings = list[list[list[float]]]


def _ours(mosaic: Path, out: Path) -> dict[str, Any]:
    told = rates.whole_survey(mosaic, out.parent / "ours", 1, 1)
    with rasterio.open(mosaic) as dataset:
        back = Transformer.from_crs("OGC:CRS84", dataset.crs, always_xy=True)
        shapes = shapely.from_wkb(pq.read_table(out.parent / "ours" / "places.parquet")["geometry"].to_numpy())
        at = shapely.transform(shapes, lambda xy: np.column_stack(~dataset.transform @ back.transform(*xy.T)))
    out.write_text(json.dumps([shapely.get_coordinates(one)[:-1].tolist() for one in at]))
    return {
        "cpu_seconds": told["worker_cpu_seconds"] + told["gathering_cpu_seconds"],
        "wall_seconds": told["wall_seconds"],
        "compute_cpu_seconds": told["worker_cpu_seconds"],
        "peak_mib": told["worker_peak_mib"],
        "gathering_peak_mib": told["gathering_peak_mib"],
        "places": told["places"],
    }


def _whole(detector: Detector, dataset: rasterio.io.DatasetReader) -> Rings:
    """Our own tiles, in one block that holds the whole file."""
    plan = rates.plan_of(Path(dataset.name), detector)
    plan, block = _one_block(plan)
    content = survey_block(detector, plan.there(block), plan.grid, plan.tiling, block, None)
    left, top = (~dataset.transform @ (plan.grid.x, plan.grid.y)) if dataset.transform else (0.0, 0.0)
    return [[[x + left, y + top] for x, y in shapely.get_coordinates(one.polygon)[:-1]] for one in content.places]


def _one_block(plan: Plan) -> tuple[Plan, Block]:
    """The plan with blocks so large that one of them holds all."""
    from dataclasses import replace

    (left, top, right, bottom), tiles = plan.boxes[0][0], plan.tiling.tiles
    while True:
        tiles += 1
        tiling = plan.tiling.model_copy(update={"tiles": tiles})
        columns, rows = tiling.blocks_over(left, right), tiling.blocks_over(top, bottom)
        if len(columns) == len(rows) == 1:
            return replace(plan, tiling=tiling), Block(rows.start, columns.start)


def _places(detector: Detector, maps: dict[Any, NDArray[np.float32]]) -> list[tuple[Rings, float]]:
    contract: Contract = detector.contract
    return [([list(map(list, spot.ring))], spot.confidence) for spot in find_places(maps, contract, contract.gsd)]


def _supervision(detector: Detector, dataset: rasterio.io.DatasetReader) -> Rings:
    """What neighbouring slices both see is sorted out by non-maximum suppression."""
    import supervision as sv  # type: ignore[import-not-found]  # of an environment of its own

    def callback(part: NDArray[np.uint8]) -> Any:
        height, width = part.shape[:2]
        # Slices at the edge are smaller; the network takes any multiple of its stride.
        answers = detector.run_tile(np.pad(part[:, :, :3], ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))))
        maps = {n: one[:height, :width] for n, one in zip(detector.contract.maps, answers, strict=True)}
        spots = [(ring[0], sure) for ring, sure in _places(detector, maps) if len(ring[0]) == 4]
        if not spots:
            return sv.Detections.empty()
        corners = np.array([ring for ring, _ in spots], np.float32)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return sv.Detections(
            xyxy=boxes,
            confidence=np.array([sure for _, sure in spots], np.float32),
            class_id=np.zeros(len(spots), int),
            data={sv.config.ORIENTED_BOX_COORDINATES: corners},
        )

    found = sv.InferenceSlicer(callback=callback)(dataset)
    rings: Rings = np.asarray(found.data[sv.config.ORIENTED_BOX_COORDINATES], float).tolist()
    return rings


def _monai(detector: Detector, dataset: rasterio.io.DatasetReader) -> Rings:
    """The whole image as a tensor, and the whole answer as another."""
    import torch
    from monai.inferers import sliding_window_inference  # type: ignore[import-not-found]  # as above

    torch.set_num_threads(1)
    tile = detector.contract.tile

    def predictor(tiles: Any) -> Any:
        pixels = tiles.permute(0, 2, 3, 1).to(torch.uint8).numpy()
        return torch.from_numpy(np.stack([np.stack(detector.run_tile(one)) for one in pixels]))

    image = torch.from_numpy(dataset.read()).float()[None]
    answer = sliding_window_inference(image, (tile, tile), 1, predictor)
    return _rings(detector, answer[0].numpy())


def _rastervision(detector: Detector, dataset: rasterio.io.DatasetReader) -> Rings:
    """Windows out of the file, and scores of the whole scene."""
    from rastervision.core.data import (  # type: ignore[import-not-found]  # as above
        RasterioSource,
        Scene,
        SemanticSegmentationLabels,
    )
    from rastervision.core.utils import calculate_required_padding  # type: ignore[import-not-found]  # as above
    from rastervision.pytorch_learner import (  # type: ignore[import-not-found]  # as above
        SemanticSegmentationSlidingWindowGeoDataset,
    )

    tile, stride = detector.contract.tile, detector.contract.tile // 2
    crop = (tile - stride) // 2
    scene = Scene(id="", raster_source=RasterioSource(dataset.name))
    padding = calculate_required_padding(scene.extent.size, (tile, tile), (stride, stride), "both", crop)
    windows = SemanticSegmentationSlidingWindowGeoDataset(
        scene, tile, stride, padding=padding, pad_direction="both", normalize=False, to_pytorch=False
    )
    labels = SemanticSegmentationLabels.from_predictions(
        windows.windows,
        (np.stack(detector.run_tile(pixels)) for pixels, _ in windows),
        extent=scene.extent,
        num_classes=len(detector.contract.maps),
        smooth=True,
        crop_sz=crop,
    )
    return _rings(detector, labels.get_score_arr(scene.extent).astype(np.float32))


def _rings(detector: Detector, scores: NDArray[np.float32]) -> Rings:
    """Outlines out of the model's maps of a whole file, (K, H, W)."""
    maps = dict(zip(detector.contract.maps, scores, strict=True))
    return [ring[0] for ring, _ in _places(detector, maps) if math.isfinite(ring[0][0][0])]


_WAYS = {"whole": _whole, "supervision": _supervision, "monai": _monai, "rastervision": _rastervision}
_IMPORTED = {
    "supervision": ("supervision",),
    "monai": ("torch", "monai.inferers"),
    "rastervision": ("rastervision.core.data", "rastervision.pytorch_learner"),
}
