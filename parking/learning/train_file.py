"""A model file straight from annotated images, without a registry: how the shipped model is made."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from parking.data.dataset import Snapshot, ingest
from parking.learning.recipe import Recipe
from parking.learning.release import Release, build_version
from parking.learning.training_scenes import Sample, load_samples
from parking.lock import alone_in
from parking.progress import Progress, silent
from parking.storage import open_store

__all__ = ["read_scenes", "train_file"]


def read_scenes(
    source: str | Sequence[str],
    recipe: Recipe,
    work: Path,
    progress: Progress = silent,
    *,
    labels: str = "",
    group_by: str = "",
) -> tuple[Snapshot, Sequence[Sample]]:
    """Every usable scene of a source, none of them kept for tests.

    Args:
        source: folder or s3://bucket/prefix of annotated images, or several.
        recipe: whose ground resolution the scenes are read at.
        work: folder that keeps the snapshot.
        progress: called after every scene.
        labels: what the source's own labels mean, see `ingest`.
        group_by: the part of an image's path that names its place, see `ingest`.
    """
    store = open_store(str(work / "store"))
    taken = ingest(source, store, labels=labels, group_by=group_by, test_share=0.0, progress=progress)
    return taken.snapshot, load_samples(store, taken.snapshot.train, recipe, progress)


def train_file(
    source: str | Sequence[str], recipe: Recipe, folds: int, work: Path, out: Path, progress: Progress = silent
) -> Release:
    """Train on every scene and write a model file; scores, threshold and calibration are out of fold.

    Args:
        source: folder or s3://bucket/prefix of annotated images, or several.
        recipe: how to train.
        folds: of the cross-validation.
        work: folder for the snapshot, checkpoints and maps; a run that was killed goes on from it.
        out: the model file.
        progress: called after every step and scene.

    Raises:
        FolderError: another training runs in `work`.
    """
    with alone_in(work):
        snapshot, samples = read_scenes(source, recipe, work, progress)
        release = build_version(
            recipe, samples, (), folds=folds, dataset_version=snapshot.version, workdir=work, progress=progress
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release.model, out)
    return release
