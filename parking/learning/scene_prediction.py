"""What a model says of an annotated scene, and what follows of it: places, vehicles, and what they are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from parking.data.polygons import Ring
from parking.data.raster import Raster
from parking.detection.confidence import mean_inside
from parking.detection.contract import AS_PREDICTED, Contract, MapName
from parking.detection.detection import ScaledReading
from parking.detection.detector import Detector
from parking.detection.places import find_places, find_vehicles
from parking.detection.scale import GsdSource
from parking.detection.spots import Spot, find_spots, rules_for, stretch
from parking.learning.metrics import Histogram
from parking.learning.rules import Seen, is_unknown
from parking.learning.training_scenes import Kind, Sample

__all__ = [
    "Half",
    "ScenePrediction",
    "as_prediction",
    "fitted",
    "found_spots",
    "found_vehicles",
    "histogram_of",
    "is_free",
    "judged_rings",
    "predict_scene",
    "raster_of",
    "scene_histogram",
    "seen_places",
    "seen_vehicles",
    "uncalibrated",
    "whole_maps",
]

Half = NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class ScenePrediction:
    """What a model answered to a scene, beside the scene."""

    name: str
    probability: NDArray[np.float16] | NDArray[np.float32]
    """(H, W) of the scene, the chance that a pixel is free; in half precision where many are kept."""

    sample: Sample

    size_px: float | None = None
    """Root of the area that places are expected to have in the scene, where that was guessed."""

    embedding: tuple[float, ...] = ()
    """See `parking.detection.detection.Detection`."""

    maps: Mapping[MapName, Half] = field(default_factory=dict)
    """(h, w) each, at the model's ground resolution; none of a model that gives the probability alone."""

    gsd: float | None = None
    """Metres per pixel of the scene that the model read it at."""

    gsd_source: GsdSource = "assumed"
    """Who said so."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), true where a pixel is free parking."""
        return self.sample.mask

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The free places annotated."""
        return self.sample.rings

    @property
    def annotator(self) -> str:
        """Who annotated them."""
        return self.sample.scene.annotator

    @property
    def kind(self) -> Kind:
        """Kind of the scene."""
        return self.sample.kind

    @property
    def seen(self) -> NDArray[np.uint8]:
        """(h, w, 3) RGB, the scene as the network saw it."""
        pixels = self.sample.pixels
        rows, columns = next(iter(self.maps.values())).shape if self.maps else pixels.shape[:2]
        if (rows, columns) == pixels.shape[:2]:
            return pixels
        method = cv2.INTER_AREA if columns < pixels.shape[1] else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=method), np.uint8)

    @property
    def ratio(self) -> tuple[float, float]:
        """Pixels of the scene for each of the maps, across and down."""
        height, width = self.mask.shape
        rows, columns = next(iter(self.maps.values())).shape if self.maps else (height, width)
        return width / columns, height / rows


def predict_scene(detector: Detector, sample: Sample, *, tta: bool = False) -> ScenePrediction:
    """What a detector says of a scene: its resolution is estimated where the image does not say it, as in service."""
    raster = raster_of(sample, detector.contract.gsd)
    return as_prediction(detector.read_scaled(raster, tta=tta), sample)


def raster_of(sample: Sample, gsd: float) -> Raster:
    """A scene as an image that is asked about.

    Args:
        sample: the scene.
        gsd: metres per pixel that scenes of known resolution were resampled to.
    """
    return Raster(sample.pixels, name=sample.name, gsd=gsd if sample.scene.gsd else None)


def as_prediction(read: ScaledReading, sample: Sample) -> ScenePrediction:
    """A reading of a scene, in half precision."""
    reading = read.reading
    several = {name: values.astype(np.float16) for name, values in reading.maps.items()}
    return ScenePrediction(
        name=sample.name,
        probability=fitted(reading.probability, sample.mask.shape).astype(np.float16),
        sample=sample,
        size_px=None if sample.scene.gsd else reading.size_px,
        embedding=reading.embedding,
        maps=several if len(several) > 1 else {},
        gsd=read.scale.gsd,
        gsd_source=read.scale.source,
    )


def fitted(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A map at another size, (H, W)."""
    values = values.astype(np.float32)
    if values.shape == shape:
        return values
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def found_spots(prediction: ScenePrediction, contract: Contract) -> tuple[Spot, ...]:
    """The places in a prediction, in pixels of the scene."""
    if contract.bays and prediction.maps:
        spots = stretch(find_places(whole_maps(prediction), contract, contract.gsd), *prediction.ratio)
    else:
        probability, rules = prediction.probability.astype(np.float32), rules_for(contract, contract.gsd)
        spots = find_spots(probability, prediction.sample.pixels, rules, contract.gsd, size_px=prediction.size_px)
    return _judged(spots, prediction.sample)


def found_vehicles(prediction: ScenePrediction, contract: Contract) -> tuple[Spot, ...]:
    """The vehicles in a prediction, in pixels of the scene."""
    if not prediction.maps:
        return ()
    spots = stretch(find_vehicles(whole_maps(prediction), contract, contract.gsd), *prediction.ratio)
    return _judged(spots, prediction.sample)


def seen_places(prediction: ScenePrediction) -> Seen:
    """What choosing the rules of places needs of a prediction."""
    return _seen(prediction, "free_core", "probability", judged_rings(prediction.rings, prediction.sample))


def seen_vehicles(prediction: ScenePrediction) -> Seen:
    """What choosing the rules of vehicles needs of a prediction."""
    rings = judged_rings(prediction.sample.vehicles, prediction.sample)
    return _seen(prediction, "vehicle_core", "vehicle", rings)


def judged_rings(rings: Sequence[Ring], sample: Sample) -> tuple[Ring, ...]:
    """The outlines that do not lie where nothing is judged."""
    return tuple(ring for ring in rings if not is_unknown(ring, sample.ignored))


def histogram_of(predictions: Sequence[ScenePrediction]) -> Histogram:
    """The judged pixels of all predictions by probability."""
    return sum(map(scene_histogram, predictions), start=Histogram.empty())


def scene_histogram(prediction: ScenePrediction) -> Histogram:
    """The judged pixels of one prediction by probability."""
    judged = prediction.sample.judged
    return Histogram.of(prediction.probability[judged], prediction.mask[judged])


def is_free(spot: Spot, prediction: ScenePrediction) -> bool:
    """Whether most of a place lies on ground that was annotated as free.

    One outline round a row makes each place in it right, as it would not if outlines were matched.
    """
    return mean_inside(Polygon(spot.ring), prediction.mask) >= 0.5


def uncalibrated(contract: Contract) -> Contract:
    """The contract with places as sure as the mean probability inside them."""
    return contract.model_copy(update={"place": AS_PREDICTED})


def whole_maps(prediction: ScenePrediction) -> dict[MapName, NDArray[np.float32]]:
    """The maps in full precision; none of a model that gives the probability alone."""
    return {name: values.astype(np.float32) for name, values in prediction.maps.items()}


def _seen(prediction: ScenePrediction, core: MapName, ground: MapName, rings: Sequence[Ring]) -> Seen:
    across, down = prediction.ratio

    def scaled(ring: Ring) -> Ring:
        return tuple((x / across, y / down) for x, y in ring)

    return Seen(
        kind=prediction.kind,
        core=prediction.maps[core],
        ground=prediction.maps[ground],
        rings=tuple(map(scaled, rings)),
        unknown=tuple(map(scaled, prediction.sample.ignored)),
    )


def _judged(spots: Sequence[Spot], sample: Sample) -> tuple[Spot, ...]:
    return tuple(spot for spot in spots if not is_unknown(spot.ring, sample.ignored))
