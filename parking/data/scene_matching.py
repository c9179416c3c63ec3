"""A dataset in the making: annotations are matched to images, checked, and the images copied."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from parking.data.annotations import Annotation
from parking.data.duplicates import fingerprint
from parking.data.exports.annotation import without_upload_prefix
from parking.data.imagery import EXTENSIONS, Raster, read_raster
from parking.data.polygons import Ring, clip
from parking.data.snapshot import IMAGES, Quarantined, Scene
from parking.errors import AnnotationError, DatasetError, ImageError
from parking.storage import FolderStore, Store, open_store

_ANNOTATION_FILES = (".json", ".ndjson", ".jsonl")
_FOREIGN_IMAGES = (".avif", ".bmp", ".gif", ".heic", ".jp2")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """A source: where it is, and the keys in it by kind."""

    store: Store
    images: tuple[str, ...]
    annotations: tuple[str, ...]
    foreign: tuple[str, ...]


def list_source(source: str) -> SourceFiles:
    """Find what a source holds; hidden files and those that macOS adds to archives are passed over.

    Raises:
        DatasetError: no such folder, or no image in it.
        AnnotationError: images, but no annotation file.
    """
    if "://" not in source and not Path(source).expanduser().is_dir():
        raise DatasetError(f"There is no folder '{source}'. Give the folder that holds your images and annotations.")
    store = open_store(source) if "://" in source else FolderStore(source)
    keys = [key for key in store.keys("") if not any(part.startswith((".", "__MACOSX")) for part in key.split("/"))]

    def of_kind(*extensions: str) -> tuple[str, ...]:
        return tuple(key for key in keys if PurePosixPath(key).suffix.lower() in extensions)

    files = SourceFiles(store, of_kind(*EXTENSIONS), of_kind(*_ANNOTATION_FILES), of_kind(*_FOREIGN_IMAGES))
    if not files.images:
        raise DatasetError(f"'{source}' holds no PNG, JPEG, WebP or TIFF image. Give the folder above your images.")
    if not files.annotations:
        raise AnnotationError(
            f"'{source}' holds {len(files.images)} images but no annotation file (*.json, *.ndjson). Export the "
            "annotations from Label Studio, Labelbox or as COCO, and put the file beside the images."
        )
    return files


class _UnusableSceneError(Exception):
    """Why a scene cannot be used."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A usable scene before it has a group and a split."""

    scene: Scene
    look: NDArray[np.uint64]
    may_test: bool = True
    """Whether it may be a test scene; else it only teaches."""


class Draft:
    """A snapshot in the making: annotations are matched to images, checked and copied one at a time."""

    def __init__(self, files: SourceFiles, store: Store, max_megapixels: float) -> None:
        self._files = files
        self._store = store
        self._max_megapixels = max_megapixels
        self._by_name: dict[str, list[str]] = {}
        for key in files.images:
            self._by_name.setdefault(PurePosixPath(key).name, []).append(key)
        self._by_bare_name: dict[str, list[str]] = {}
        for name in self._by_name:
            self._by_bare_name.setdefault(without_upload_prefix(name), []).append(name)
        self._seen: dict[str, Annotation] = {}
        self.candidates: list[Candidate] = []
        self.quarantine: list[Quarantined] = []
        self.unusable: list[Quarantined] = []
        self.copied = 0

    def absorb(self, other: "Draft", *, may_test: bool) -> None:
        """Take over what came of another source; of an image that is in both, what was drawn here counts."""
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

    def add(self, annotation: Annotation) -> None:
        """Take a scene in, or note why not."""
        try:
            self._add(annotation)
        except (_UnusableSceneError, ImageError) as reason:
            self.unusable.append(Quarantined(image=annotation.image, reason=str(reason)))

    def _add(self, annotation: Annotation) -> None:
        key = self._find(annotation)
        data = self._files.store.read(key)
        raster = read_raster(data, name=PurePosixPath(key).name, max_megapixels=self._max_megapixels)
        rings, problems = _fit(annotation, raster)
        if problems and not rings:
            raise _UnusableSceneError(f"none of its {len(problems)} polygons can be used: {problems[0]}")
        checksum = hashlib.sha256(data).hexdigest()
        image = f"{IMAGES}/{checksum}{PurePosixPath(key).suffix.lower()}"
        if not self._store.exists(image):
            self._store.write(image, data)
            self.copied += 1
        scene = Scene(
            name=raster.name, image=image, sha256=checksum, width=raster.width, height=raster.height, gsd=raster.gsd,
            acquired=raster.acquired, annotator=annotation.annotator, group="", rings=rings, split="train",
        )  # fmt: skip
        self.candidates.append(Candidate(scene, fingerprint(raster.pixels)))
        listed = (*problems, *annotation.notes)
        self.quarantine += [Quarantined(image=raster.name, reason=reason) for reason in listed]

    def _find(self, annotation: Annotation) -> str:
        """The key of an annotation's image."""
        name = self._name_of(annotation.image)
        if len(keys := self._by_name[name]) > 1:
            raise _UnusableSceneError(f"{len(keys)} images have this name: {', '.join(keys)}; give each its own")
        if name in self._seen:
            raise _UnusableSceneError("annotated more than once; the first annotation was used")
        self._seen[name] = annotation
        return keys[0]

    def _name_of(self, image: str) -> str:
        """The name of an image's file: as it was annotated, else where one of the two lacks the prefix of an upload."""
        bare = without_upload_prefix(image)
        # Two uploads of one name differ in the prefix alone, so it is looked away from last.
        for names in ([image], [bare], self._by_bare_name.get(bare, [])):
            found = [name for name in names if name in self._by_name]
            if len(found) > 1:
                raise _UnusableSceneError(f"{len(found)} images could be meant: {', '.join(found)}; name it in full")
            if found:
                return found[0]
        raise _UnusableSceneError("no image file of this name")

    def report_unannotated(self) -> None:
        """Note the images that no annotation names, and those in formats that are not read."""
        for name, keys in self._by_name.items():
            if name not in self._seen and not any(item.image == name for item in self.unusable):
                self.quarantine += [Quarantined(image=key, reason="no annotation") for key in keys]
        self.quarantine += [
            Quarantined(image=key, reason="not a PNG, JPEG, WebP or TIFF image; convert it")
            for key in self._files.foreign
        ]


def _fit(annotation: Annotation, raster: Raster) -> tuple[tuple[Ring, ...], list[str]]:
    """An annotation's rings in pixels of the image as it is, clipped, and what is wrong with the others."""
    across, down = _scale(annotation, raster)
    rings: list[Ring] = []
    problems = list(annotation.problems)
    for ring in annotation.rings:
        parts = clip(tuple((x * across, y * down) for x, y in ring), raster.width, raster.height)
        if not parts:
            x, y = ring[0]
            problems.append(f"the polygon at ({x:.0f}, {y:.0f}) has no area inside the image")
        rings += parts
    return tuple(rings), problems


def _scale(annotation: Annotation, raster: Raster) -> tuple[float, float]:
    """Factors from the pixels that were annotated to those of the file: a copy at half size is still the same image."""
    if annotation.size is None or annotation.size == (raster.width, raster.height):
        return 1.0, 1.0
    width, height = annotation.size
    across, down = raster.width / max(1, width), raster.height / max(1, height)
    if abs(across / down - 1) > 0.02:
        raise _UnusableSceneError(
            f"annotated at {width} x {height} pixels, but the file has {raster.width} x {raster.height}"
        )
    return across, down
