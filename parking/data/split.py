"""Which scenes test, and which validate: by group, stratified, and decided by content instead of file order."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from parking.data.polygons import Ring
from parking.data.snapshot import AnnotatedClass, Scene
from parking.errors import DatasetError

__all__ = ["Fold", "Splittable", "choose_test", "make_folds"]


class Splittable(Protocol):
    """What a split looks at: near-duplicates share a group, the checksum decides."""

    @property
    def sha256(self) -> str:
        """Checksum of the image."""
        ...

    @property
    def group(self) -> str:
        """Name of the group."""
        ...

    @property
    def annotator(self) -> str:
        """Who drew the polygons."""
        ...

    @property
    def annotated(self) -> tuple[AnnotatedClass, ...]:
        """Classes that were looked for."""
        ...

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Free places."""
        ...


_Item = TypeVar("_Item", bound=Splittable)


@dataclass(frozen=True, slots=True)
class Fold:
    """One round of cross-validation."""

    train: tuple[Scene, ...]
    validation: tuple[Scene, ...]


def choose_test(scenes: Sequence[Splittable], share: float) -> frozenset[str]:
    """Groups that make up the test split: about `share` of the scenes of every stratum.

    In each stratum the groups of lowest checksum are taken, so a scene keeps its side when others are added, unless it
    was the last one taken and a lower checksum arrived. A group that would take more than is left, and nearly as much
    again, is passed over: forty frames of one camera are one scene to test on, and forty to learn from.
    """
    # By one scene each: by its lowest, a group would come the earlier the larger it is.
    groups = sorted(_groups(scenes, salt="test"), key=lambda group: _rank("test", min(one.sha256 for one in group)))
    if len(groups) < 2:
        return frozenset()
    strata: dict[str, list[list[Splittable]]] = defaultdict(list)
    for group in groups:
        strata[_stratum(group)].append(group)
    quotas = _quotas({name: sum(map(len, groups)) for name, groups in strata.items()}, share)
    chosen: set[str] = set()
    for name, members in strata.items():
        taken = 0
        for group in members:
            if taken + len(group) / 2 <= quotas[name]:
                chosen.add(group[0].group)
                taken += len(group)
    if not chosen and any(quotas.values()):
        chosen.add(min(groups, key=len)[0].group)
    return frozenset(chosen)


def make_folds(scenes: Sequence[Scene], k: int) -> list[Fold]:
    """Divide scenes into `k` folds of like size and like mixture; near-duplicates stay together.

    Raises:
        DatasetError: fewer than two folds asked, or fewer groups than folds.
    """
    groups = _groups(scenes, salt="folds")
    if k < 2 or len(groups) < k:
        raise DatasetError(
            f"{len(scenes)} scenes in {len(groups)} groups of near-duplicates are too small for {k} folds: "
            + (f"the largest number that fits is {len(groups)}." if len(groups) > 1 else "no number from 2 fits.")
            if k >= 2
            else f"Cross-validation needs at least 2 folds, not {k}."
        )
    parts: list[list[Scene]] = [[] for _ in range(k)]
    for group in sorted(groups, key=_stratum):
        min(parts, key=len).extend(group)
    return [
        Fold(
            train=_by_name(scene for other in parts if other is not part for scene in other),
            validation=_by_name(part),
        )
        for part in parts
    ]


def _by_name(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    return tuple(sorted(scenes, key=lambda scene: (scene.name, scene.sha256)))


def _groups(scenes: Sequence[_Item], salt: str) -> list[list[_Item]]:
    """Groups in an order that only the images' content decides."""
    members: dict[str, list[_Item]] = defaultdict(list)
    for scene in scenes:
        members[scene.group].append(scene)

    ordered = [sorted(group, key=lambda one: _rank(salt, one.sha256)) for group in members.values()]
    return sorted(ordered, key=lambda group: _rank(salt, group[0].sha256))


def _rank(salt: str, checksum: str) -> str:
    return hashlib.sha256(f"{salt}:{checksum}".encode()).hexdigest()


def _stratum(group: Sequence[Splittable]) -> str:
    """Annotator and density; the bounds are fixed, since quantiles would move with every scene that is added.

    Scenes that do not say where free places are have no density, and groups of nothing else are a stratum of their own.
    """
    told = [scene for scene in group if "free" in scene.annotated]
    if not told:
        return f"{group[0].annotator} unknown"
    places = sum(len(scene.rings) for scene in told) / len(told)
    density = sum(places >= bound for bound in (1, 5, 10, 20))
    return f"{group[0].annotator} {density}"


def _quotas(sizes: dict[str, int], share: float) -> dict[str, int]:
    """Scenes to take from each stratum, by largest remainder, so that the total is right too; at least one."""
    wanted = max(1, round(sum(sizes.values()) * share)) if share > 0 else 0
    quotas = {name: int(size * share) for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (quotas[name] - sizes[name] * share, name))
    for name in by_remainder[: max(0, wanted - sum(quotas.values()))]:
        quotas[name] += 1
    return quotas
