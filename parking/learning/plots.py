"""Pictures of the quality of a model, for its run in MLflow."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parking.data.imagery import encode_png
from parking.data.polygons import Ring
from parking.detection.contract import Contract
from parking.learning.evaluate import scene_counts
from parking.learning.metrics import BINS, Histogram, precision, recall
from parking.learning.release import Release
from parking.learning.scene_prediction import ScenePrediction, found_spots, histogram_of
from parking.learning.state import Record

__all__ = [
    "drawing",
    "figure_png",
    "loss_curve",
    "overlay",
    "precision_recall",
    "rank",
    "release_plots",
    "scene_sheet",
    "sheet",
]

_TRUTH = (64, 255, 96)
_FOUND = (255, 120, 0)
_WIDTH = 720
_SHOWN = 3


def release_plots(release: Release) -> dict[str, bytes]:
    """PNG by file name: best and worst test scenes, precision against recall, the loss."""
    ranked = rank(release.test_predictions, release.threshold)
    plots = {"loss.png": loss_curve(release.history)}
    if release.predictions:
        plots["precision-recall.png"] = precision_recall(histogram_of(release.predictions), release.threshold)
    if ranked:
        plots["scenes-best.png"] = encode_png(sheet([p for _, p in ranked[:_SHOWN]], release.contract))
        plots["scenes-worst.png"] = encode_png(sheet([p for _, p in ranked[::-1][:_SHOWN]], release.contract))
    return plots


def scene_sheet(release: Release) -> str:
    """Markdown with the best and the worst test scenes: their IoU, and one picture of each kind."""
    ranked = rank(release.test_predictions, release.threshold)
    if not ranked:
        return "There are no test scenes."
    rows = "\n".join(f"| {p.name} | {iou:.3f} | {len(p.rings)} |" for iou, p in ranked)
    pictures = "\n\n".join(
        f"**{title}**\n\n{_embedded(sheet([prediction], release.contract), title)}"
        for title, (_, prediction) in (("Best test scene", ranked[0]), ("Worst test scene", ranked[-1]))
    )
    return (
        f"Green outlines: annotated. Orange: places found, and tinted the ground that seems free.\n\n{pictures}\n\n"
        f"| test scene | IoU | places annotated |\n| --- | --- | --- |\n{rows}\n"
    )


def overlay(prediction: ScenePrediction, contract: Contract) -> NDArray[np.uint8]:
    """A scene with what was annotated and the places that were found outlined, free ground tinted, RGB (H, W, 3)."""
    pixels = prediction.sample.pixels.copy()
    ground = prediction.probability >= contract.threshold
    pixels[ground] = (pixels[ground] * 0.5 + np.array(_FOUND) * 0.5).astype(np.uint8)
    _outline(pixels, prediction.rings, _TRUTH, 3)
    _outline(pixels, [spot.ring for spot in found_spots(prediction, contract)], _FOUND, 1)
    return pixels


def sheet(predictions: Sequence[ScenePrediction], contract: Contract) -> NDArray[np.uint8]:
    """Scenes under each other, each as it is and overlaid, RGB."""
    rows = [
        np.hstack([_narrowed(prediction.sample.pixels), _narrowed(overlay(prediction, contract))])
        for prediction in predictions
    ]
    return np.vstack(rows)


def drawing(prediction: ScenePrediction, contract: Contract) -> NDArray[np.uint8]:
    """A scene without its pixels, for imagery that may not be shown, in a square, RGB.

    The probability of free ground is grey; the places that were found are drawn over those that were annotated.
    """
    shade = 255 - (prediction.probability.astype(np.float32) * 160).astype(np.uint8)
    pixels = np.repeat(shade[..., None], 3, axis=2)
    _outline(pixels, prediction.rings, _TRUTH, 5)
    _outline(pixels, [spot.ring for spot in found_spots(prediction, contract)], _FOUND, 2)
    return _framed(pixels)


def _outline(pixels: NDArray[np.uint8], rings: Sequence[Ring], colour: tuple[int, int, int], width: int) -> None:
    corners = [np.round(np.array(ring)).astype(np.int32) for ring in rings]
    cv2.polylines(pixels, corners, True, colour, width, cv2.LINE_AA)


def _framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in the middle of a square, all squares of one size."""
    height, width = pixels.shape[:2]
    scale = _WIDTH / max(height, width)
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    square = np.full((_WIDTH + 8, _WIDTH + 8, 3), 255, np.uint8)
    top, left = (_WIDTH + 8 - small.shape[0]) // 2, (_WIDTH + 8 - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def precision_recall(histogram: Histogram, threshold: float) -> bytes:
    """The precision-recall curve of free pixels, with the threshold that was chosen, as PNG."""
    counts = [histogram.counts(k / BINS) for k in range(0, BINS, 5)]
    chosen = histogram.counts(threshold)
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([recall(c) for c in counts], [precision(c) for c in counts])
    axes.plot(recall(chosen), precision(chosen), "o", label=f"threshold {threshold:.2f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"Out-of-fold pixels, average precision {histogram.pr_auc():.3f}")
    axes.legend()
    return figure_png(figure)


def loss_curve(history: Sequence[Record]) -> bytes:
    """The loss by step, as PNG."""
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    points = [(record["step"], record["loss"]) for record in history if "loss" in record]
    axes.plot(*zip(*points, strict=True)) if points else axes.text(0.4, 0.5, "no steps")
    axes.set(xlabel="step", ylabel="loss")
    return figure_png(figure)


def rank(predictions: Sequence[ScenePrediction], threshold: float) -> list[tuple[float, ScenePrediction]]:
    """Scenes with free places in falling order of IoU; without any, IoU is undefined."""
    with_places = [prediction for prediction in predictions if prediction.rings]
    ious = [c.intersection / max(1, c.union) for c in scene_counts(with_places, threshold)]
    return sorted(zip(ious, with_places, strict=True), key=lambda pair: -pair[0])


def _narrowed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = max(1, round(pixels.shape[0] * _WIDTH / pixels.shape[1]))
    return np.asarray(cv2.resize(pixels, (_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def _embedded(pixels: NDArray[np.uint8], title: str) -> str:
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return f"![{title}](data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode('ascii')})"


def figure_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
