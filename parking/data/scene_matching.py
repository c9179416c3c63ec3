"""Matches annotations to images, checks them, and copies the images to the store."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import shapely
from numpy.typing import NDArray

from parking.data.annotations import Annotation
from parking.data.duplicates import fingerprint
from parking.data.exports.annotation import Shape
from parking.data.free_places import places_of
from parking.data.grouping import footprint
from parking.data.image_index import ImageIndex, NoImageError
from parking.data.imagery import Raster, read_raster
from parking.data.opinions import chosen
from parking.data.polygons import CrossingOutlineError, clip
from parking.data.snapshot import IMAGES, Quarantined, Scene
from parking.data.source import SourceFiles
from parking.data.vocabulary import Label
from parking.errors import ImageError, MissingKeyError
from parking.progress import Progress
from parking.storage import Store

__all__ = ["Candidate", "Draft"]


class _UnusableSceneError(Exception):
    """A scene cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A usable scene before it has a group and a split.

    Attributes:
        scene: the scene, its group still empty.
        fingerprint: of the image (`parking.data.duplicates`).
        key: path of the image in its source.
        ground: footprint in degrees, if it is georeferenced.
    """

    scene: Scene
    fingerprint: NDArray[np.uint64]
    key: str
    ground: shapely.Polygon | None
    may_test: bool = True
    """Whether it may be a test scene; otherwise it is for training only."""


class Draft:
    """The scenes of a source, built one at a time: matched to annotations, checked, and copied."""

    def __init__(self, files: SourceFiles, store: Store, max_megapixels: float) -> None:
        self._files = files
        self._store = store
        self._max_megapixels = max_megapixels
        self._index = ImageIndex(files.images)
        self._names = Counter(PurePosixPath(key).name for key in files.images)
        self._seen: set[str] = set()
        self.candidates: list[Candidate] = []
        self.quarantine: list[Quarantined] = []
        self.unusable: list[Quarantined] = []
        self.copied = 0

    def absorb(self, other: "Draft", *, may_test: bool) -> None:
        """Add the scenes of another source; for an image in both, the annotations of this one count."""
        here = {candidate.scene.sha256 for candidate in self.candidates}
        for candidate in other.candidates:
            if candidate.scene.sha256 in here:
                reason = "the same image is in another source too, whose annotation was used"
                self.quarantine.append(Quarantined(image=candidate.scene.name, reason=reason))
            else:
                self.candidates.append(replace(candidate, may_test=may_test))
        self.quarantine += other.quarantine
        self.unusable += other.unusable
        self.copied += other.copied

    def add(self, annotations: Sequence[Annotation], progress: Progress) -> None:
        """Add the annotated images of the source; unusable ones are noted with a reason."""
        by_image = self._matched(annotations)
        for done, (key, found) in enumerate(sorted(by_image.items())):
            progress(done, len(by_image), "images ingested")
            try:
                self._add(key, found)
            except (_UnusableSceneError, ImageError) as reason:
                self.unusable.append(Quarantined(image=self._name(key), reason=str(reason)))
        progress(len(by_image), len(by_image), "images ingested")
        self._report_unannotated()

    def _matched(self, annotations: Sequence[Annotation]) -> dict[str, list[Annotation]]:
        found: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in annotations:
            if annotation.broken and not annotation.addresses:
                listed = f"{annotation.image} of {annotation.export}"
                self.unusable.append(Quarantined(image=listed, reason=annotation.problems[0]))
                continue
            try:
                found[self._index.find(annotation.addresses, annotation.export)].append(annotation)
            except NoImageError as reason:
                self.unusable.append(Quarantined(image=annotation.image, reason=str(reason)))
        self._seen = set(found)
        return found

    def _add(self, key: str, annotations: Sequence[Annotation]) -> None:
        taken, notes = chosen(annotations)
        if taken[0].broken:
            raise _UnusableSceneError(taken[0].problems[0])
        try:
            data = self._files.store.read(key)
        except MissingKeyError as error:
            raise _UnusableSceneError("the file is gone, or a link that leads nowhere") from error
        raster = read_raster(data, name=self._name(key), max_megapixels=self._max_megapixels)
        fitted = [_fit(annotation, raster) for annotation in taken]
        problems = [problem for fit in fitted for problem in fit.problems]
        shapes = [shape for fit in fitted for shape in fit.shapes]
        if problems and not shapes:
            raise _UnusableSceneError(f"none of the {len(problems)} shapes in it can be used: {problems[0]}")
        known = frozenset[Label]().union(*(annotation.known for annotation in taken))
        places = places_of(shapes, known, {label for fit in fitted for label in fit.refused})
        listed = (*problems, *notes)
        if not places.annotated:
            first = problems[0] if problems else "nothing was drawn in it, so its bays may not have been drawn yet"
            raise _UnusableSceneError(f"it says nothing of parking: {first}")
        checksum, image = self._keep(key, data)
        scene = Scene(
            name=raster.name, image=image, sha256=checksum, width=raster.width, height=raster.height, gsd=raster.gsd,
            acquired=raster.acquired, annotator=taken[0].annotator, group="", rings=places.free, split="train",
            vehicles=places.vehicles, stalls=places.stalls, ignored=places.ignored, annotated=places.annotated,
        )  # fmt: skip
        self.candidates.append(Candidate(scene, fingerprint(raster.pixels), key, footprint(raster)))
        self.quarantine += [Quarantined(image=raster.name, reason=reason) for reason in listed]

    def _keep(self, key: str, data: bytes) -> tuple[str, str]:
        """Copy an image to the store if it is new; returns its checksum and its key."""
        checksum = hashlib.sha256(data).hexdigest()
        image = f"{IMAGES}/{checksum}{PurePosixPath(key).suffix.lower()}"
        if not self._store.exists(image):
            self._store.write(image, data)
            self.copied += 1
        return checksum, image

    def _name(self, key: str) -> str:
        """The name of the file, with its folders if another image has the same name."""
        name = PurePosixPath(key).name
        return name if self._names[name] == 1 else key

    def _report_unannotated(self) -> None:
        """Note the images without annotation, and those in unsupported formats."""
        listed = {item.image for item in self.unusable}
        for key in self._files.images:
            if key not in self._seen and not {self._name(key), PurePosixPath(key).name} & listed:
                self.quarantine.append(Quarantined(image=key, reason="no annotation"))
        self.quarantine += [
            Quarantined(image=key, reason="not a PNG, JPEG, WebP or TIFF image; convert it")
            for key in self._files.foreign
        ]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """An annotation in pixels of its image: usable shapes, problems, and labels of the shapes that cannot be used."""

    shapes: list[Shape]
    problems: list[str]
    refused: set[Label]


def _fit(annotation: Annotation, raster: Raster) -> _Fitted:
    across, down = _scale(annotation, raster)
    fitted = _Fitted([], list(annotation.problems), set(annotation.refused))
    for shape in annotation.shapes:
        ring = tuple((x * across, y * down) for x, y in shape.ring)
        x, y = ring[0]
        try:
            parts = clip(ring, raster.width, raster.height)
            reason = "has no area inside the image"
        except CrossingOutlineError as crossing:
            parts, reason = [], f"cannot be used: {crossing}"
        if not parts:
            fitted.problems.append(f"the polygon at ({x:.0f}, {y:.0f}) {reason}")
            fitted.refused.add(shape.label)
        fitted.shapes.extend(Shape(shape.label, part, shape.box) for part in parts)
    return fitted


def _scale(annotation: Annotation, raster: Raster) -> tuple[float, float]:
    """Factors from annotated pixels to those of the file, which may be a copy in another size."""
    if annotation.size is None or annotation.size == (raster.width, raster.height):
        return 1.0, 1.0
    width, height = annotation.size
    across, down = raster.width / width, raster.height / height
    if not annotation.relative and abs(across / down - 1) > 0.02:
        raise _UnusableSceneError(
            f"annotated at {width:g} x {height:g} pixels, but the file has {raster.width} x {raster.height}"
        )
    return across, down
