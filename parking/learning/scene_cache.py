"""The scenes of a snapshot in memory, read once a process however many trials use them."""

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Literal

from parking.data.dataset import Snapshot, load_snapshot
from parking.detection.contract import Contract
from parking.errors import DatasetError
from parking.learning.known_scenes import known_scenes
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import Sample, load_samples
from parking.progress import report
from parking.workspace import open_workspace

__all__ = ["find_snapshot", "forget_samples", "known_to", "samples_of"]

_reading = Lock()


def find_snapshot(version: str) -> Snapshot:
    """The snapshot with this version, or the newest for `latest`."""
    return load_snapshot(open_workspace().store, version)


def known_to(contract: Contract, samples: Sequence[Sample]) -> frozenset[str] | None:
    """Checksums of the images among `samples` that shaped a model; None where nobody can say.

    A model made before contracts said it is judged by its snapshot, as long as that is in the store.
    """
    if contract.learnt_from is not None:
        calibrated = known_scenes(contract.calibrated_on, samples) if contract.calibrated_on else frozenset()
        return known_scenes(contract.learnt_from, samples) | calibrated
    try:
        snapshot = find_snapshot(contract.dataset_version)
    except DatasetError:
        return None
    return frozenset(scene.sha256 for scene in snapshot.train) & {sample.scene.sha256 for sample in samples}


def samples_of(version: str, split: Literal["train", "test"], gsd: float) -> tuple[Sample, ...]:
    """Pixels and masks of one side of a snapshot's split, at `gsd` metres per pixel where the scenes' own is known.

    Scenes that do not say where free places are teach what their vehicles look like. Trials that begin at once wait
    for the one that reads.

    Raises:
        DatasetError: none of the snapshot's scenes says where free places are.
    """
    with _reading:
        return _read(version, split, gsd)


def forget_samples() -> None:
    """Let go of the scenes in memory."""
    _read.cache_clear()


@lru_cache(maxsize=2)
def _read(version: str, split: Literal["train", "test"], gsd: float) -> tuple[Sample, ...]:
    snapshot = find_snapshot(version)
    if not snapshot.telling("free"):
        raise DatasetError(
            f"None of the {len(snapshot.scenes)} scenes of dataset {snapshot.version} says where free places are, so "
            "nothing can be learnt of them. Ingest it with a set that does: give --data once for each."
        )
    scenes = snapshot.train if split == "train" else snapshot.test
    return tuple(load_samples(open_workspace().store, scenes, Recipe(gsd=gsd), report))
