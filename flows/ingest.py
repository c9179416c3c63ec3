"""Annotated images in, an immutable dataset snapshot out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from loguru import logger
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.progress import shown_in_run
from monitoring.corrections import SCENES, has_scenes
from parking.data import dataset
from parking.data.dataset import Snapshot
from parking.data.snapshot import DATASETS
from parking.data.source import split_sources
from parking.data.synthetic import generate_dataset
from parking.files import remove_left_behind
from parking.learning.gate import INSIST, too_few_to_judge
from parking.progress import report
from parking.settings import GENERATED, get_settings
from parking.storage import FolderStore
from parking.workspace import open_workspace

__all__ = ["generate", "ingest", "publish", "take_in"]


@task(cache_policy=NO_CACHE)
def generate(count: int, size: int, seed: int) -> str:
    """Draw scenes for those who bring no images; the same seed draws the same scenes."""
    folder = get_settings().state_dir / "generated" / f"{count}x{size}-seed{seed}"
    return str(generate_dataset(Path(folder), count, seed, size, progress=report))


@task(cache_policy=NO_CACHE)
def take_in(
    sources: Sequence[str], labels: str, group_by: str, max_quarantined: float, feedback: bool, feedback_tests: bool
) -> Snapshot:
    """Read, check and store every scene of the sources; what cannot be used is quarantined with its reason."""
    space = open_workspace()
    if isinstance(space.store, FolderStore) and (left := remove_left_behind(space.store.root / DATASETS)):
        logger.info("Removed {} unfinished files of earlier ingests that were killed.", left)
    corrected = [f"{space.store.url}/{SCENES}"] if feedback and has_scenes(space.store) else []
    return dataset.ingest(
        sources,
        space.store,
        labels=labels,
        group_by=group_by,
        also=corrected,
        also_test=feedback_tests,
        max_quarantined=max_quarantined,
        max_megapixels=space.settings.max_megapixels,
        progress=report,
    ).snapshot


@flow
def ingest(
    data: str = "",
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = 0.2,
    scenes: Annotated[int, Field(ge=4, le=5000)] = 60,
    size: Annotated[int, Field(ge=128, le=2048)] = 768,
    seed: int = 0,
    feedback: bool = True,
    feedback_tests: bool = False,
    labels: str = "",
    group_by: str = "",
) -> str:
    """Take annotated images into a versioned dataset snapshot.

    Args:
        data: folder or s3://bucket/prefix with images and their annotations (docs/data.md has the forms), several
            separated by `;`, or `generated` for drawn scenes. Empty: the setting PARKING_DATA.
        max_quarantined: largest share of scenes that may be unusable before the run stops.
        scenes: how many scenes to draw, if they are generated.
        size: their width and height in pixels.
        seed: their seed.
        feedback: whether scenes that users of the service corrected are taken in, too, to learn from.
        feedback_tests: whether these may be test scenes as well, and so judge versions: only if a person reviewed them.
        labels: what labels mean that are none of the usual words, as `pkw=vehicle,bucht=stall`; the meanings are free,
            occupied, stall, vehicle, ignore and skip. Empty: the setting PARKING_LABELS.
        group_by: regular expression that finds in an image's path the place that it shows; images of one place are
            never on two sides of a split. Empty: the setting PARKING_GROUP_BY.

    Returns:
        The version of the snapshot.
    """
    settings = get_settings()
    given = split_sources(data or settings.data)
    with shown_in_run():
        sources = [generate(scenes, size, seed) if source == GENERATED else source for source in given]
        snapshot = take_in(
            sources, labels or settings.labels, group_by or settings.group_by, max_quarantined, feedback, feedback_tests
        )
    publish(snapshot)
    return snapshot.version


def publish(snapshot: Snapshot) -> None:
    """Show in Prefect what was taken in, and what was not and why; say where versions cannot be judged by it."""
    too_few = too_few_to_judge([len(scene.rings) for scene in snapshot.test if "free" in scene.annotated])
    if too_few:
        logger.warning("{} {}", too_few, INSIST)
    create_table_artifact(
        key="dataset",
        table=[{"image": q.image, "reason": q.reason} for q in snapshot.quarantine],
        description=(
            f"Snapshot `{snapshot.version}` of {snapshot.source}: {len(snapshot.train)} scenes to train on, "
            f"{len(snapshot.test)} to test on, {snapshot.content}; quarantined: {len(snapshot.quarantine)}. {too_few}"
        ),
    )
