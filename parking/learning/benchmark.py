"""Recipes side by side on the same folds: what each idea is worth, and what it costs to serve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from parking.data.polygons import Ring
from parking.errors import TrainingError
from parking.learning.crossval import CrossValidation, cross_validate, judge
from parking.learning.evaluate import Scores, score
from parking.learning.recipe import Recipe, load_recipe
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

BASELINE = Recipe(
    encoder="vgg11",
    encoder_weights="none",
    decoder_channels=(256, 128, 64, 32, 16),
    maps=("probability",),
    crop=256,
    batch=16,
    steps=1000,
    learning_rate=3e-3,
    weight_decay=0.0,
    loss="bce",
    positive_weight=10.0,
    ema_decay=0.0,
    free_share=0.0,
    scale_min=1.0,
    scale_max=1.0,
    light=0.3,
    gsd=0.11,
    evaluations=1,
    tile=256,
    overlap=32,
)
"""The earlier recipe: VGG11 from scratch, weighted cross-entropy, Adam, rotations and contrast, no averaging."""

SHORT = Recipe(crop=192, batch=8, steps=200, gsd=0.11, evaluations=1, encoder_weights="none")
"""The present network from scratch, trained for minutes: such rows compare with each other only."""

SHORT_FOLDS = 3
"""Folds that short rows are trained on."""


class Entry(BaseModel, frozen=True):
    """A row of the benchmark."""

    name: str
    what: str
    """What it changes against the row above."""

    recipe: Recipe
    resize: int | None = None
    """Side that whole scenes are squeezed to, as the earlier recipe did; None keeps them as they are."""

    flips: bool = False
    """Whether scenes are predicted in all eight orientations."""

    most_folds: int | None = None
    """Folds that are run, the first ones; None for all. Such rows are short trainings that compare with each other."""


def entries() -> tuple[Entry, ...]:
    """The rows: the earlier recipe and the shipped one at full length; then short trainings, each one idea more."""
    imagenet = SHORT.model_copy(update={"encoder_weights": "imagenet"})
    generated = imagenet.model_copy(update={"pretrain_steps": SHORT.steps, "pretrain_scenes": 150})
    shipped = load_recipe("shipped")
    return (
        Entry(
            name="baseline-2024",
            what="VGG11 U-Net from scratch, scenes squeezed to 256x256, weighted BCE",
            recipe=BASELINE,
            resize=256,
        ),
        Entry(name="native", what="the same at native resolution, in crops of 256", recipe=BASELINE),
        Entry(
            name="shipped",
            what="EfficientNet-Lite0, ImageNet, generated scenes, BCE + Dice, EMA: the shipped settings",
            recipe=shipped,
        ),
        Entry(name="shipped-flips", what="the same model, mean over eight orientations", recipe=shipped, flips=True),
        _short("light-encoder", "EfficientNet-Lite0 from scratch, BCE + Dice, strong augmentation, EMA", SHORT),
        _short("imagenet", "encoder pretrained on ImageNet", imagenet),
        _short("generated", "all of it pretrained on generated scenes", generated),
    )


def _short(name: str, what: str, recipe: Recipe) -> Entry:
    return Entry(name=name, what=what, recipe=recipe, most_folds=SHORT_FOLDS)


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


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Scores and costs of an entry."""

    entry: Entry
    validated: CrossValidation

    @property
    def is_short(self) -> bool:
        """Whether it was trained for minutes on some of the folds, and compares with such rows only."""
        return self.entry.most_folds is not None

    def mean(self, name: str) -> float:
        """Mean of a score over the folds."""
        return float(np.mean(self._measured(name) or [np.nan]))

    def spread(self, name: str) -> float:
        """Standard deviation of a score over the folds."""
        measured = self._measured(name)
        return float(np.std(measured, ddof=1)) if len(measured) > 1 else 0.0

    def _measured(self, name: str) -> list[float]:
        values = [getattr(scores, name) for scores in self.validated.fold_scores]
        return [value for value in values if value is not None]


def run_entry(entry: Entry, samples: Sequence[Sample], folds: int, work: Path, progress: Progress = silent) -> Row:
    """Cross-validate an entry; what `work` holds of an earlier run is not made again.

    Args:
        entry: the row.
        samples: all scenes.
        folds: the same for every entry, whatever it is: they depend on the scenes alone.
        work: folder for checkpoints and out-of-fold maps.
        progress: called after every step.
    """
    seen = [squeezed(sample, entry.resize) for sample in samples] if entry.resize else list(samples)
    folder = work / (f"squeezed-{entry.resize}" if entry.resize else "checkpoints")
    most = entry.most_folds or folds
    validated = cross_validate(
        entry.recipe,
        seen,
        folds,
        on_fold=lambda fold, _: fold + 1 < most,
        checkpoint_dir=folder,
        flips=entry.flips,
        progress=progress,
    )
    return Row(entry, judged_whole(validated, samples, entry.recipe) if entry.resize else validated)


def judged_whole(validated: CrossValidation, samples: Sequence[Sample], recipe: Recipe) -> CrossValidation:
    """Predictions of squeezed scenes, brought back to the scenes' own size and judged there, as all others are."""
    whole = {id(sample.scene): sample for sample in samples}

    def brought_back(squeezed: ScenePrediction) -> ScenePrediction:
        sample = whole[id(squeezed.sample.scene)]
        return ScenePrediction(sample.name, unsqueezed(squeezed.probability, sample), sample)

    parts = [list(map(brought_back, part)) for part in validated.parts]
    return judge(parts, recipe)


def squeezed(sample: Sample, side: int) -> Sample:
    """A scene resized to a square, whatever its shape: what the earlier recipe trained on and predicted."""
    height, width = sample.mask.shape
    pixels = cv2.resize(sample.pixels, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    mask = cv2.resize(sample.mask.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0

    def scaled(rings: Sequence[Ring]) -> tuple[Ring, ...]:
        return tuple(tuple((x * side / width, y * side / height) for x, y in ring) for ring in rings)

    return replace(
        sample,
        pixels=pixels,
        mask=mask,
        rings=scaled(sample.rings),
        vehicles=scaled(sample.vehicles),
        ignored=scaled(sample.ignored),
        zoom=1.0,
    )


Slice = Callable[[ScenePrediction], str]


def slices(predictions: Sequence[ScenePrediction]) -> dict[str, Slice]:
    """Ways to part the scenes: who annotated them, how many places they have, how bright they are."""
    density = float(np.median([len(p.rings) for p in predictions]))
    light = float(np.median([p.sample.pixels.mean() for p in predictions]))
    return {
        "annotator": lambda p: p.annotator,
        "density": lambda p: f"at most {density:g} places" if len(p.rings) <= density else f"over {density:g} places",
        "brightness": lambda p: "darker half" if p.sample.pixels.mean() <= light else "brighter half",
    }


def score_slices(row: Row) -> dict[str, Scores]:
    """Scores of each slice, with what all folds together choose."""
    predictions, contract = row.validated.predictions, row.validated.contract
    scored = {}
    for title, name_of in slices(predictions).items():
        for name in sorted({name_of(p) for p in predictions}):
            part = [p for p in predictions if name_of(p) == name]
            scored[f"{title}: {name}"] = score(part, contract)
    return scored


def unsqueezed(probability: NDArray[np.floating], sample: Sample) -> NDArray[np.float32]:
    """A map at the size of the scene that is judged."""
    height, width = sample.mask.shape
    resized = cv2.resize(probability.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
