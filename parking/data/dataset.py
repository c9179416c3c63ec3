"""Ingest images and annotations into a dataset snapshot."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loguru import logger

from parking.data.annotations import Annotation
from parking.data.duplicates import alike
from parking.data.grouping import connected, overlapping, places_by_name, same
from parking.data.scene_matching import Candidate, Draft
from parking.data.snapshot import (
    LATEST,
    SNAPSHOTS,
    Quarantined,
    Scene,
    Snapshot,
    free_mask,
    load_raster,
    load_snapshot,
)
from parking.data.source import SourceFiles, list_source, read_source
from parking.data.split import choose_test
from parking.data.vocabulary import parse_labels
from parking.errors import DatasetError, MissingKeyError, QuarantineError
from parking.progress import Progress, silent
from parking.storage import Store

__all__ = [
    "Ingestion",
    "Quarantined",
    "Scene",
    "Snapshot",
    "free_mask",
    "ingest",
    "load_raster",
    "load_snapshot",
]

_LISTED = 12
_LATER_FIELDS = ("vehicles", "stalls", "ignored", "annotated")


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The result of an ingestion.

    Attributes:
        snapshot: the dataset, new or existing.
        copied: number of images that were new to the store.
        is_new: whether this version did not exist before.
    """

    snapshot: Snapshot
    copied: int
    is_new: bool


def ingest(
    source: str | Sequence[str],
    store: Store,
    *,
    also: Sequence[str] = (),
    also_test: bool = False,
    labels: str = "",
    group_by: str = "",
    test_share: float = 0.2,
    max_quarantined: float = 0.2,
    progress: Progress | None = None,
    max_megapixels: float = 64.0,
) -> Ingestion:
    """Make a snapshot of a folder or bucket of images and annotation files.

    Images are found anywhere below the source and matched to annotations by name. Unusable ones go to the quarantine
    with a reason. The same content gives the same version, whatever its location, and is not copied again.

    Args:
        source: a folder or `s3://bucket/prefix`, or several, each with its own images and annotations. For an image
            in two of them, the annotations of the first count.
        store: for the snapshot and its images.
        also: further sources, each with its own images and annotations, such as corrections that nobody reviewed.
        also_test: whether scenes of `also` may be test scenes. If not, they are used for training only and do not
            change the choice of test scenes; one that shows the same image as a test scene is left out.
        labels: meanings of labels that are not among the usual words: `pkw=vehicle,bucht=stall`.
        group_by: regular expression for the part of an image's path that names its place; images of one place are on
            the same side of a split. Empty: the usual names of tiles and frames, and overlapping ground.
        test_share: share of the scenes that are frozen as test scenes.
        max_quarantined: share of the annotated images that may be unusable.
        progress: called after each image.
        max_megapixels: larger images are unusable.

    Raises:
        DatasetError: there is no image, or no usable scene.
        AnnotationError: there is no annotation file, or one in an unknown format.
        LabelsError: the mapping of labels is malformed, or names a label that does not occur.
        QuarantineError: too many images are unusable; the message lists them.
        StoreError: the source or the store refused, or is full.
    """
    meanings = parse_labels(labels)
    given = (source,) if isinstance(source, str) else tuple(source)
    listed = [list_source(one) for one in (*given, *also)]
    read = [read_source(files, meanings) for files in listed]
    meanings.check(name for annotations in read for one in annotations for name in one.names)
    draft, *others = (
        _draft(files, annotations, store, max_megapixels, progress or silent)
        for files, annotations in zip(listed, read, strict=True)
    )
    for number, further in enumerate(others, 1):
        draft.absorb(further, may_test=also_test or number < len(given))
    _check_quarantine("', '".join(given), draft, max_quarantined)
    origin = "; ".join(files.store.url for files in listed[: len(given)])
    snapshot, is_new = _publish(store, origin, draft, test_share, group_by)
    logger.info(
        "Dataset {}: {} scenes ({} for tests), {} left out, {} images copied",
        snapshot.version,
        len(snapshot.scenes),
        len(snapshot.test),
        len(snapshot.quarantine),
        draft.copied,
    )
    return Ingestion(snapshot, draft.copied, is_new)


def _draft(
    files: SourceFiles, annotations: Sequence[Annotation], store: Store, max_megapixels: float, progress: Progress
) -> Draft:
    """The scenes of one source, checked and copied."""
    draft = Draft(files, store, max_megapixels)
    draft.add(annotations, progress)
    return draft


def _check_quarantine(source: str, draft: Draft, limit: float) -> None:
    bad, total = len(draft.unusable), len(draft.unusable) + len(draft.candidates)
    listing = "".join(f"\n  {item.image}: {item.reason}" for item in draft.unusable[:_LISTED])
    more = f"\n  and {bad - _LISTED} more" if bad > _LISTED else ""
    if total and bad / total > limit:
        raise QuarantineError(
            f"{bad} of {total} annotated images in '{source}' cannot be used, over the limit of {limit:.0%}. "
            f"Mend them, or raise the limit:{listing}{more}"
        )
    if not draft.candidates:
        raise DatasetError(f"'{source}' holds no usable scene: nothing in it is annotated.{listing}{more}")


def _publish(store: Store, source: str, draft: Draft, test_share: float, group_by: str) -> tuple[Snapshot, bool]:
    """Write the manifest, then the pointer to it, so that readers never see an incomplete snapshot."""
    scenes, spoiling = _assign(draft.candidates, test_share, group_by)
    left_out = tuple(
        sorted((*draft.quarantine, *draft.unusable, *spoiling), key=lambda item: (item.image, item.reason))
    )
    snapshot = Snapshot(
        version=_version(scenes, left_out), created=datetime.now(UTC), source=source, scenes=scenes, quarantine=left_out
    )
    try:
        known = load_snapshot(store, snapshot.version)
    except DatasetError:
        known = None
        store.write(f"{SNAPSHOTS}/{snapshot.version}.json", snapshot.model_dump_json(indent=1).encode())
    try:
        latest = store.read(LATEST).decode()
    except MissingKeyError:
        latest = ""
    if latest != snapshot.version:
        store.write(LATEST, snapshot.version.encode())
    return known or snapshot, known is None


def _assign(
    candidates: Sequence[Candidate], test_share: float, group_by: str
) -> tuple[tuple[Scene, ...], list[Quarantined]]:
    """Assign a group and a split to every scene; also returns scenes that would leak test scenes into training."""
    ordered = sorted(candidates, key=lambda candidate: (candidate.scene.name, candidate.scene.sha256))
    pairs = [
        *alike([candidate.fingerprint for candidate in ordered]),
        *same(places_by_name([candidate.key for candidate in ordered], group_by)),
        *overlapping([candidate.ground for candidate in ordered]),
    ]
    roots = connected(len(ordered), pairs)
    grouped = [
        candidate.scene.model_copy(update={"group": ordered[root].scene.sha256[:12]})
        for candidate, root in zip(ordered, roots, strict=True)
    ]
    may_test = [candidate.may_test for candidate in ordered]
    test = choose_test([scene for scene, may in zip(grouped, may_test, strict=True) if may], test_share)
    scenes, spoiling = list[Scene](), list[Quarantined]()
    for scene, may in zip(grouped, may_test, strict=True):
        if scene.group in test and not may:
            reason = "a correction of what a test scene shows: to learn from it would spoil the test"
            spoiling.append(Quarantined(image=scene.name, reason=reason))
        else:
            scenes.append(scene.model_copy(update={"split": "test" if scene.group in test else "train"}))
    return tuple(scenes), spoiling


def _version(scenes: Sequence[Scene], quarantine: Sequence[Quarantined]) -> str:
    content = {
        "scenes": [_content(scene) for scene in scenes],
        "quarantine": [item.model_dump(mode="json") for item in quarantine],
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _content(scene: Scene) -> dict[str, Any]:
    """The content that is hashed to a version; newer fields count only if set, so older datasets keep theirs."""
    unsaid = {name for name in _LATER_FIELDS if getattr(scene, name) == Scene.model_fields[name].default}
    return scene.model_dump(mode="json", exclude=unsaid)
