"""A dataset snapshot: an immutable, content-addressed set of scenes, and what reads it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from rasterio.features import rasterize

from parking.data.imagery import Raster, read_raster, resample
from parking.data.polygons import Ring
from parking.errors import DatasetError, MissingKeyError
from parking.storage import Store

__all__ = [
    "DATASETS",
    "IMAGES",
    "LATEST",
    "SNAPSHOTS",
    "AnnotatedClass",
    "Quarantined",
    "Scene",
    "Snapshot",
    "free_mask",
    "load_raster",
    "load_snapshot",
]

DATASETS = "datasets"
"""Below it the store keeps all that belongs to snapshots."""

IMAGES = "datasets/images"
SNAPSHOTS = "datasets/snapshots"
LATEST = "datasets/latest"

AnnotatedClass = Literal["free", "vehicle", "stall"]
"""What somebody can have looked for in a scene."""


class Scene(BaseModel):
    """One image with its polygons."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """The image's file name where it came from."""

    image: str
    """Key of the image in the store."""

    sha256: str
    """Checksum of the image's bytes."""

    width: int
    """Columns."""

    height: int
    """Rows."""

    gsd: float | None = None
    """Metres a pixel, where the file says."""

    acquired: date | None = None
    """The day it was taken, where the file says."""

    annotator: str
    """Who drew the polygons: habits differ, so splits are stratified by it."""

    group: str
    """Scenes that show the same picture share one, and never fall on two sides of a split. Tiles that only overlap do
    not: what they share may be on both."""

    rings: tuple[Ring, ...]
    """Free places, clipped to the image: drawn as free, or bays on which no vehicle stands."""

    vehicles: tuple[Ring, ...] = ()
    """Cars, vans, buses and lorries, as polygons or boxes of four points."""

    stalls: tuple[Ring, ...] = ()
    """Bays as drawn, free or taken."""

    ignored: tuple[Ring, ...] = ()
    """Ground of which nothing is known, and that neither teaches nor judges."""

    annotated: tuple[AnnotatedClass, ...] = ("free",)
    """What was looked for when the scene was annotated: what is not among them is unknown there, not absent."""

    split: Literal["train", "test"]
    """Test scenes are frozen: nothing is chosen by them."""


class Quarantined(BaseModel):
    """An image or a polygon that was left out, and why."""

    model_config = ConfigDict(frozen=True)

    image: str
    reason: str


class Snapshot(BaseModel):
    """A dataset as it was at one moment; its version follows from its content."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    version: str
    """12 hexadecimal digits of the SHA-256 of everything else but `created` and `source`."""

    created: datetime
    """When it was first made (UTC)."""

    source: str
    """The folder or bucket that it was read from."""

    scenes: tuple[Scene, ...]
    """Usable scenes, by name."""

    quarantine: tuple[Quarantined, ...]
    """What was left out."""

    def telling(self, what: AnnotatedClass) -> tuple[Scene, ...]:
        """Scenes in which somebody looked for a class."""
        return tuple(scene for scene in self.scenes if what in scene.annotated)

    @property
    def content(self) -> str:
        """How many places, vehicles and bays there are, in words; and where nothing tells free places, that."""
        counts = {
            "free places": sum(len(scene.rings) for scene in self.scenes),
            "vehicles": sum(len(scene.vehicles) for scene in self.scenes),
            "bays": sum(len(scene.stalls) for scene in self.scenes),
        }
        words = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "free places")
        telling = len(self.telling("free"))
        return words if telling == len(self.scenes) else f"{words} ({telling} scenes say where free places are)"

    @property
    def train(self) -> tuple[Scene, ...]:
        """Scenes to learn and to choose settings from."""
        return tuple(scene for scene in self.scenes if scene.split == "train")

    @property
    def test(self) -> tuple[Scene, ...]:
        """Scenes that only ever measure."""
        return tuple(scene for scene in self.scenes if scene.split == "test")


def load_snapshot(store: Store, version: str = "latest") -> Snapshot:
    """Read a snapshot's manifest.

    Raises:
        DatasetError: there is none of that version, or the manifest is damaged.
    """
    try:
        wanted = store.read(LATEST).decode().strip() if version == "latest" else version
        return Snapshot.model_validate_json(store.read(f"{SNAPSHOTS}/{wanted}.json"))
    except MissingKeyError as error:
        raise DatasetError(
            f"There is no dataset snapshot '{version}' in {store.url}. Run `parking ingest --data FOLDER` first."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"The manifest of dataset snapshot '{version}' in {store.url} is damaged. Run `parking ingest` again."
        ) from error


def load_raster(store: Store, scene: Scene, gsd: float | None = None) -> Raster:
    """A scene's image, resampled to `gsd` where the scene's own is known.

    Raises:
        DatasetError: the image is gone from the store.
        ImageError: the image cannot be decoded any more.
    """
    try:
        data = store.read(scene.image)
    except MissingKeyError as error:
        raise DatasetError(
            f"The image of scene '{scene.name}' ({scene.image}) is gone from {store.url}. Run `parking ingest` again."
        ) from error
    raster = read_raster(data, name=scene.name, max_megapixels=float("inf"))
    return raster if gsd is None else resample(raster, gsd)


def free_mask(rings: Sequence[Ring], height: int, width: int) -> NDArray[np.bool_]:
    """(height, width), true where a pixel's centre lies in a free place."""
    shapes = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]} for ring in rings]
    if not shapes:
        return np.zeros((height, width), np.bool_)
    return rasterize(shapes, out_shape=(height, width), dtype=np.uint8).astype(np.bool_)  # type: ignore[no-any-return]
