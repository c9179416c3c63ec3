"""Recipes side by side on the same folds: what each idea is worth, and what it costs to serve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from parking.detection.contract import MapName
from parking.errors import TrainingError
from parking.learning.crossval import CrossValidation, judge, run_folds
from parking.learning.evaluate import SceneCounts, Scores, scene_counts
from parking.learning.gate import Verdict, compare, too_few_to_judge
from parking.learning.holdout import Holdout
from parking.learning.recipe import Recipe
from parking.learning.training_scenes import KINDS, Kind, Sample
from parking.progress import Progress, silent

__all__ = ["Entry", "Row", "choose_entries", "entries", "iou_difference", "run_entry"]

SHORT = Recipe(crop=192, batch=8, steps=400, evaluations=1)
"""A training of minutes on one core: such rows compare with each other, not with a model that was trained for hours."""

_GROUND: tuple[MapName, ...] = ("probability",)
_VEHICLES: tuple[MapName, ...] = (*_GROUND, "vehicle", "vehicle_core")


class Entry(BaseModel, frozen=True):
    """A row of the benchmark."""

    name: str
    what: str
    """What it changes against the row that it is compared with."""

    recipe: Recipe
    against: str | None = None
    """The row that it is compared with."""

    teaching: tuple[Kind, ...] = tuple(KINDS)
    """Kinds of scenes that teach, and that choose thresholds and calibrations. All kinds are scored."""

    most_streets: int | None = None
    """Street scenes that teach, the ones of lowest checksum; None for all."""

    def teachers(self, samples: Sequence[Sample]) -> list[Sample]:
        """The scenes that teach, of those that may."""
        taught = [sample for sample in samples if sample.kind in self.teaching]
        streets = sorted((one for one in taught if one.kind == "streets"), key=lambda one: one.scene.sha256)
        chosen = {id(one) for one in streets[: self.most_streets]}
        return [one for one in taught if one.kind != "streets" or id(one) in chosen]


def entries() -> tuple[Entry, ...]:
    """The rows: each idea on top of the one before, then what is missed where scenes are left out."""
    fine = SHORT.model_copy(update={"gsd": 0.11})
    ground, vehicles = (fine.model_copy(update={"maps": maps}) for maps in (_GROUND, _VEHICLES))
    generated = SHORT.model_copy(update={"pretrain_steps": SHORT.steps, "pretrain_scenes": 150})
    return (
        Entry(
            name="streets",
            what="streets alone teach; free ground alone is learnt",
            recipe=ground,
            teaching=("streets",),
        ),
        Entry(
            name="car-parks",
            what="car parks teach besides",
            recipe=ground,
            against="streets",
            teaching=("streets", "bays"),
        ),
        Entry(name="vehicles", what="vehicles are learnt, from all scenes", recipe=vehicles, against="car-parks"),
        Entry(name="cores", what="the cores of single places are learnt", recipe=fine, against="vehicles"),
        Entry(name="scale", what="learnt and read at 0.18 m a pixel, not 0.11", recipe=SHORT, against="cores"),
        Entry(name="generated", what="learnt from generated scenes first", recipe=generated, against="scale"),
        Entry(
            name="no-car-parks",
            what="`scale` without a car park among what teaches and what chooses rules",
            recipe=SHORT,
            against="scale",
            teaching=("streets", "vehicles"),
        ),
        Entry(
            name="no-streets",
            what="`scale` without a street",
            recipe=SHORT,
            against="scale",
            teaching=("bays", "vehicles"),
        ),
        *(
            Entry(
                name=f"streets-{count}",
                what=f"`scale` with {count} streets",
                recipe=SHORT,
                against="scale",
                most_streets=count,
            )
            for count in (40, 20)
        ),
    )


def choose_entries(names: str) -> tuple[Entry, ...]:
    """The entries with these names, commas between; all for an empty text.

    Raises:
        TrainingError: there is no entry of a name.
    """
    known = {entry.name: entry for entry in entries()}
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise TrainingError(f"The benchmark has no row {', '.join(unknown)}: choose from {', '.join(known)}.")
    return tuple(known[name] for name in wanted)


@dataclass(frozen=True, eq=False)
class Row:
    """An entry, and what its folds gave."""

    entry: Entry
    validated: CrossValidation

    @property
    def holdout(self) -> Holdout:
        """The predictions of each fold, with the rules that the other folds choose."""
        return Holdout(tuple(zip(self.validated.parts, self.validated.contracts, strict=True)))

    @cached_property
    def scores(self) -> dict[Kind, Scores]:
        """Scores of each kind of scenes, all folds together; places are found anew for them, so they are kept."""
        return {kind: self.holdout.scores(kind) for kind in self.holdout.kinds}

    def counts(self, kind: Kind) -> list[SceneCounts]:
        """Intersection and union of each scene of a kind."""
        return [
            counts
            for part, contract in self.holdout.parts
            for counts in scene_counts([p for p in part if p.kind == kind], contract.threshold)
        ]


def run_entry(
    entry: Entry,
    samples: Sequence[Sample],
    folds: int,
    work: Path,
    progress: Progress = silent,
    *,
    most_folds: int | None = None,
) -> Row:
    """Cross-validate an entry; what `work` holds of an earlier run is not made again.

    Args:
        entry: the row.
        samples: all scenes, at the resolution of the entry's recipe.
        folds: the same for every entry, whatever it is: they depend on the scenes alone.
        work: folder for checkpoints and out-of-fold maps.
        progress: called after every step.
        most_folds: of the folds, how many are run; None for all.
    """
    parts = run_folds(
        entry.recipe,
        samples,
        folds,
        on_fold=lambda fold, _: most_folds is None or fold + 1 < most_folds,
        checkpoint_dir=work / "checkpoints" / entry.name,
        teachers=entry.teachers,
        progress=progress,
    )
    return Row(entry, judge(parts, entry.recipe, entry.teaching))


def iou_difference(row: Row, rows: Mapping[str, Row], kind: Kind) -> Verdict | None:
    """A row's IoU on scenes of a kind against that of the row it is compared with.

    None where that row was not measured, or the scenes are too few to compare two rows by.
    """
    other, counts = rows.get(row.entry.against or ""), row.counts(kind)
    if other is None or too_few_to_judge([one.places for one in counts]):
        return None
    return compare(counts, other.counts(kind))
