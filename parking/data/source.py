"""A source of annotated images: its files, and all annotations in it."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from parking.data.annotations import FORMATS, Annotation, completed, read_annotations
from parking.data.exports import vector, xml, yolo
from parking.data.imagery import EXTENSIONS
from parking.data.vocabulary import LabelMap
from parking.errors import AnnotationError, DatasetError
from parking.storage import FolderStore, Store, open_store

__all__ = ["SourceFiles", "is_map", "list_source", "read_source", "split_sources"]

_JSON = (".json", ".ndjson", ".jsonl")
_FOREIGN_IMAGES = (".avif", ".bmp", ".gif", ".heic", ".jp2")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """A source with its keys by kind."""

    store: Store
    keys: tuple[str, ...]
    images: tuple[str, ...]
    foreign: tuple[str, ...]

    def of_kind(self, *endings: str) -> tuple[str, ...]:
        """Keys with one of these extensions."""
        return tuple(key for key in self.keys if PurePosixPath(key).suffix.lower() in endings)


def split_sources(text: str) -> tuple[str, ...]:
    """Split several sources in one text, separated by `;`."""
    if Path(text).expanduser().is_dir():
        return (text,)
    return tuple(filter(None, (part.strip() for part in text.split(";"))))


def list_source(source: str) -> SourceFiles:
    """List the files of a source, without hidden ones and those that macOS adds to archives.

    Raises:
        DatasetError: there is no such folder, or no image in it.
    """
    if "://" not in source and not Path(source).expanduser().is_dir():
        raise DatasetError(f"There is no folder '{source}'. Give the folder that holds your images and annotations.")
    store = open_store(source) if "://" in source else FolderStore(source)
    keys = tuple(
        key for key in store.keys("") if not any(part.startswith((".", "__MACOSX")) for part in key.split("/"))
    )
    files = SourceFiles(store, keys, (), ())
    files = SourceFiles(store, keys, files.of_kind(*EXTENSIONS), files.of_kind(*_FOREIGN_IMAGES))
    if not files.images:
        raise DatasetError(f"'{source}' holds no PNG, JPEG, WebP or TIFF image. Give the folder above your images.")
    return files


def read_source(files: SourceFiles, labels: LabelMap) -> list[Annotation]:
    """All annotations of a source, in any supported format.

    Raises:
        AnnotationError: there is none, or one in an unknown format.
    """
    from_yolo = yolo.read(files.store, files.keys, files.images, labels)
    exports = [key for key in files.of_kind(*_JSON) if not (from_yolo and _goes_with_yolo(files.store, key))]
    documents = [key for key in files.of_kind(".xml") if not key.lower().endswith(".aux.xml")]
    found = completed(from_yolo)
    layers = list(files.of_kind(*vector.ENDINGS))
    for key in exports:
        text = _text(files.store, key)
        if is_map(text):
            layers.append(key)
        else:
            found += read_annotations(text, key, labels)
    found += completed(one for key in documents for one in xml.read(files.store.read(key), key, labels))
    # A vector layer beside annotated plain images has another purpose.
    if layers and not (found and not files.of_kind(".tif", ".tiff")):
        found += vector.read(files.store, layers, files.images, labels)
    if not (from_yolo or exports or documents or layers):
        raise AnnotationError(
            f"'{files.store.url}' holds {len(files.images)} images but no annotation file. Export the annotations as "
            f"{FORMATS}, and put the file beside the images."
        )
    return sorted(found, key=lambda annotation: (annotation.image, annotation.annotator))


def is_map(text: str) -> bool:
    """Whether a JSON is GeoJSON."""
    if '"FeatureCollection"' not in text:
        return False
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("type") == "FeatureCollection"


def _text(store: Store, key: str) -> str:
    try:
        return store.read(key).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"'{key}' is no text in UTF-8 ({error.reason}). Export it again.") from error


def _goes_with_yolo(store: Store, key: str) -> bool:
    """Whether a JSON only lists classes, like `notes.json` in Label Studio's YOLO exports."""
    if PurePosixPath(key).name != "notes.json":
        return False
    try:
        return set(json.loads(store.read(key))) <= {"categories", "info"}
    except (ValueError, TypeError):
        return False
