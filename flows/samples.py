"""The scenes of a snapshot in memory, read once a process however many trials use them."""

from functools import lru_cache
from typing import Literal

from parking.data.dataset import Snapshot, load_snapshot
from parking.errors import DatasetError
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample, load_samples
from parking.progress import report
from parking.workspace import open_workspace


def find_snapshot(version: str) -> Snapshot:
    """The snapshot with this version, or the newest for `latest`."""
    return load_snapshot(open_workspace().store, version)


def learnt_from(version: str) -> frozenset[str]:
    """Checksums of the images that a model of this snapshot has learnt from, as far as the snapshot is still there.

    A few scenes change sides when a dataset grows, so today's test scenes may be among them.
    """
    try:
        snapshot = find_snapshot(version)
    except DatasetError:
        return frozenset()
    return frozenset(scene.sha256 for scene in snapshot.train)


@lru_cache(maxsize=2)
def samples_of(version: str, split: Literal["train", "test"], gsd: float) -> tuple[Sample, ...]:
    """Pixels and masks of one side of a snapshot's split, at `gsd` metres per pixel where the scenes' own is known."""
    snapshot = find_snapshot(version)
    scenes = snapshot.train if split == "train" else snapshot.test
    return tuple(load_samples(open_workspace().store, scenes, Recipe(gsd=gsd), report))
