"""A model to ask from Python: `load_model().detect("photo.tif")`. It needs no torch and no server."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parking.data.bays import KnownBays, read_known_bays
from parking.data.imagery import Stretch, read_raster
from parking.data.raster import Raster, check_size
from parking.detection.detector import ONE_SCALE, Detector
from parking.detection.occupancy import Bay
from parking.errors import ImageError, ModelError, NoVersionError
from parking.result import Result
from parking.settings import Settings, get_settings
from parking.shipped import has_no_registry, shipped_model

__all__ = ["SHIPPED", "ImageSource", "ParkingModel", "find_model", "is_address", "load_model", "raster_of"]

ImageSource = str | Path | bytes | NDArray[np.uint8] | Image.Image | Raster
"""A file's path or bytes, pixels as (H, W, 3) RGB, an image of Pillow, or a raster."""

SHIPPED = "shipped"


@dataclass(frozen=True)
class ParkingModel:
    """A model that finds free parking places. Safe to use from several threads at once."""

    detector: Detector
    """What finds them; its `contract` says how the model was trained and how well it did."""

    version: str
    """Number of the registered version; else `shipped` or the file's name, with the start of the file's checksum."""

    settings: Settings

    @property
    def is_shipped(self) -> bool:
        """Whether this is the model that comes with the package."""
        return self.version.startswith(f"{SHIPPED}-")

    def detect(
        self,
        image: ImageSource,
        *,
        gsd: float | None = None,
        threshold: float | None = None,
        min_area_m2: float | None = None,
        tta: bool = False,
        scales: Sequence[float] = ONE_SCALE,
        stretch: Stretch | None = None,
    ) -> Result:
        """Find the free places in an image.

        Args:
            image: any size from 1x1 to the limit of the settings.
            gsd: ground sample distance in metres a pixel, whatever the file says; the image is then scaled to what the
                model was trained at.
            threshold: probability from which a pixel is free, instead of the model's.
            min_area_m2: smallest place that is kept, in m², instead of the model's.
            tta: test-time augmentation: average the answers to eight flips and turns, eight times slower.
            scales: sizes at which the image is read, in those of the model's resolution; the answers are averaged.
            stretch: values of the file that become black and white, instead of those that its percentiles suggest.

        Raises:
            ImageError: this is no image that we read, or it is larger than the limit.
        """
        raster = self._raster(image, gsd, stretch)
        found = self.detector.detect(
            raster,
            threshold=threshold,
            min_area_m2=min_area_m2,
            assumed_gsd=self.settings.assumed_gsd or None,
            tta=tta,
            scales=scales,
        )
        return Result(raster, found if gsd is None else replace(found, gsd_source="caller"), self.version)

    def occupancy(
        self, image: ImageSource, layer: bytes, name: str = "bays", *, gsd: float | None = None, tta: bool = False
    ) -> tuple[Raster, KnownBays, tuple[Bay, ...]]:
        """Which bays of a layer are taken.

        Args:
            image: see `detect`.
            layer: bytes of a GeoJSON or GeoPackage of bays.
            name: what messages call the layer.
            gsd: see `detect`.
            tta: see `detect`.

        Returns:
            The image, the bays that lie in it, and the state of each.

        Raises:
            ImageError: see `detect`.
            BaysError: the layer cannot be used with this image.
            ModelError: the model sees no vehicles.
        """
        raster = self._raster(image, gsd)
        known = read_known_bays(layer, name, raster)
        rings = [bay.ring for bay in known.bays]
        read = self.detector.occupancy(raster, rings, assumed_gsd=self.settings.assumed_gsd or None, tta=tta)
        return raster, known, read

    def _raster(self, image: ImageSource, gsd: float | None, stretch: Stretch | None = None) -> Raster:
        raster = raster_of(image, self.settings.max_megapixels, stretch)
        check_size(raster.name, raster.width, raster.height, self.settings.max_megapixels)
        if gsd is None:
            return raster
        if not 0.01 <= gsd <= 5:
            raise ImageError(f"A resolution of {gsd:g} m a pixel cannot be: give one between 0.01 and 5.")
        return replace(raster, gsd=gsd)


def load_model(which: str | Path = "", settings: Settings | None = None) -> ParkingModel:
    """Load a model.

    Args:
        which: a model file, the number of a registered version, or an alias such as `production`. Left out: the version
            that serves, or the model that ships with the package where none does yet.
        settings: those of the process (`PARKING_*`) by default.

    Raises:
        ModelError: the file is no model of ours.
        RegistryError: MLflow cannot be reached, or has no such version.
    """
    settings = settings or get_settings()
    path, version = find_model(str(which), settings)
    detector = Detector.load(path, threads=settings.threads, runtime=settings.runtime)
    return ParkingModel(detector, version or f"{_name(path)}-{detector.sha256[:8]}", settings)


def raster_of(image: ImageSource, max_megapixels: float, stretch: Stretch | None = None) -> Raster:
    """The raster of whatever was given as an image.

    Raises:
        ImageError: this is no image that we read, or it is larger than the limit.
    """
    if isinstance(image, Raster):
        return image
    if isinstance(image, Image.Image):
        return _read_pillow(image, max_megapixels, stretch)
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ImageError(f"Pixels of shape {image.shape} and type {image.dtype}: give (H, W, 3) RGB as uint8.")
        return Raster(image)
    if isinstance(image, str) and is_address(image):
        raise ImageError(f"'{image}' is an address, and nothing is downloaded here: save the image first.")
    source = Path(image) if isinstance(image, str) else image
    return read_raster(source, max_megapixels=max_megapixels, stretch=stretch)


def _read_pillow(image: Image.Image, max_megapixels: float, stretch: Stretch | None) -> Raster:
    name = Path(str(getattr(image, "filename", ""))).name or "image"
    data = io.BytesIO()
    try:
        image.save(data, "PNG")
    except (OSError, ValueError) as error:
        raise ImageError(f"'{name}' of mode {image.mode} cannot be read: convert it to RGB first.") from error
    return read_raster(data.getvalue(), name=name, max_megapixels=max_megapixels, stretch=stretch)


def is_address(text: str) -> bool:
    """Whether this is an address such as `https://…` or `s3://…`, and not a path."""
    return "://" in text


def find_model(which: str, settings: Settings) -> tuple[Path, str]:
    """A model's file, and its version where it is registered; raises as `load_model` does."""
    path = Path(which)
    if which and path.is_file():
        return path, ""
    if path.suffix == ".onnx":
        raise ModelError(f"There is no model file {which}: correct the path, or name a version or an alias.")
    if not which and has_no_registry(settings):
        return shipped_model(), ""
    from parking.registry import PRODUCTION
    from parking.workspace import Workspace

    registry = Workspace(settings).registry
    try:
        version = registry.resolve(which or PRODUCTION)
    except NoVersionError:
        if which:
            raise
        return shipped_model(), ""
    return registry.fetch(version, settings.state_dir / "models"), str(version.number)


def _name(path: Path) -> str:
    return SHIPPED if path == shipped_model() else path.stem
