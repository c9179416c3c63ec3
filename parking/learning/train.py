"""Fit a network to scenes: one recipe, one run, resumable."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Lock

import cv2
import torch
from loguru import logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from parking.errors import TrainingError
from parking.learning.checkpoint import identity, load_checkpoint, save_checkpoint
from parking.learning.crops import Crops
from parking.learning.hardware import keep_freed_memory
from parking.learning.losses import IGNORED
from parking.learning.metrics import Histogram
from parking.learning.network import find_device
from parking.learning.predict import predict
from parking.learning.recipe import Recipe
from parking.learning.state import Record, TrainingState
from parking.learning.targets import view_of
from parking.learning.training_scenes import Sample, generated_samples
from parking.progress import Progress, silent

__all__ = ["Fit", "fit", "predict", "seconds_per_step"]

CHECKPOINT_SECONDS = 60.0
"""Longest work that a killed fit loses, besides one validation round."""

_ONE_AT_A_TIME = Lock()
"""Trials in threads wait for their common initial weights, instead of computing them each."""

_READ_EVERY = {"cpu": 1, "cuda": 20}
"""Steps between two reads of the loss: each read makes a GPU wait."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained network."""

    network: nn.Module
    """Averaged weights, set to evaluation, on the CPU: those of the best validation round, or of the last step."""

    steps: int
    """Steps made; fewer than asked after an early stop."""

    history: list[Record]
    """`step`, `loss` and `learning_rate` along the way; `step`, `validation_iou` and `validation_threshold` a round."""


def fit(
    recipe: Recipe,
    train: Sequence[Sample],
    validation: Sequence[Sample] = (),
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Fit:
    """Train a network by a recipe.

    Args:
        recipe: hyperparameters.
        train: scenes to learn from.
        validation: scenes to choose the best round by, and to stop early by; never the test scenes.
        checkpoint: file to resume from, if it is of this recipe and these scenes, and to save to; a finished fit is
            restored at once.
        progress: called after every step.

    Raises:
        TrainingError: no scenes, a GPU asked for and absent, weights that cannot be had, or a loss that is no number.
    """
    if not train:
        raise TrainingError("There is no scene to train on: ingest images first, or ask for fewer folds.")
    device = find_device(recipe)
    keep_freed_memory()
    state = TrainingState(recipe, device)
    saver = _Saver(checkpoint, identity(recipe, train, validation))
    if not saver.restore(state) and recipe.pretrain_steps:
        state.start_from(_pretrained(recipe, checkpoint, progress))
    _run(state, train, validation, saver, progress)
    network = state.average.module
    if state.best is not None:
        network.load_state_dict(state.best.weights)
    return Fit(network.cpu().eval(), state.step, state.history)


def seconds_per_step(recipe: Recipe, samples: Sequence[Sample], steps: int = 4) -> float:
    """Duration of a step on this machine: the median of a few, after two warm-up steps; nothing is kept."""
    device = find_device(recipe)
    keep_freed_memory()
    state = TrainingState(recipe.model_copy(update={"steps": steps + 2}), device)
    times, start = [], time.perf_counter()
    for tiles, labels in _batches(state, samples):
        float(state.learn(tiles, labels))
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
    return median(times[2:])


def _pretrained(recipe: Recipe, checkpoint: Path | None, progress: Progress) -> dict[str, Tensor]:
    """Weights pretrained on generated scenes, kept beside the checkpoint: all folds and trials start from them."""

    def told(done: int, total: int, what: str) -> None:
        progress(done, total, f"generated scenes first, {what}")

    first = recipe.pretraining()
    path = checkpoint.with_name(f"{first.fingerprint()}-generated{recipe.pretrain_scenes}.pt") if checkpoint else None
    with _ONE_AT_A_TIME:
        fitted = fit(first, generated_samples(recipe.pretrain_scenes, recipe.gsd), checkpoint=path, progress=told)
    return fitted.network.state_dict()


def _run(
    state: TrainingState, train: Sequence[Sample], validation: Sequence[Sample], saver: "_Saver", progress: Progress
) -> None:
    recipe = state.recipe
    rounds = {round(recipe.steps * (n + 1) / recipe.evaluations) for n in range(recipe.evaluations)}
    rounds = rounds if validation else set()
    pending: list[Tensor] = []
    for tiles, labels in _batches(state, train) if not state.is_over else ():
        pending.append(state.learn(tiles, labels))
        is_round, is_last = state.step in rounds, state.step == recipe.steps
        if is_round or is_last or len(pending) == _READ_EVERY[state.device.type]:
            _read(state, pending, saver.path)
            progress(state.step, recipe.steps, f"training, loss {state.history[-1]['loss']:.3f}")
        if is_round:
            _validate(state, validation, progress)
        if not pending and (state.is_over or saver.is_due):
            saver.save(state)
        if state.is_over:
            break


def _batches(state: TrainingState, train: Sequence[Sample]) -> Iterator[tuple[Tensor, Tensor]]:
    recipe, workers = state.recipe, state.recipe.workers
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        Crops(train, recipe, state.step),  # type: ignore[arg-type]
        batch_size=recipe.batch,
        num_workers=workers,
        pin_memory=state.device.type == "cuda",
        prefetch_factor=4 if workers else None,
        # Workers share the cores already; and their seeds are their own, so that torch's stay the training's.
        worker_init_fn=_single_threaded if workers else None,
        generator=torch.Generator(),
    )
    return iter(loader)


def _single_threaded(worker: int) -> None:
    cv2.setNumThreads(0)


def _read(state: TrainingState, pending: list[Tensor], kept: Path | None) -> None:
    """Read the losses since the last time, and record their mean.

    Raises:
        TrainingError: one is no number.
    """
    losses = torch.stack(pending).float()
    broken = (~losses.isfinite()).nonzero()
    if len(broken):
        step = state.step - len(pending) + int(broken[0]) + 1
        where = f"the last checkpoint is {kept}" if kept and kept.is_file() else "there is no checkpoint yet"
        raise TrainingError(
            f"The loss is no number at step {step} of {state.recipe.steps}; {where}. "
            f"Lower learning_rate ({state.recipe.learning_rate:g}), or use another loss."
        )
    pending.clear()
    record = {"step": state.step, "loss": float(losses.mean()), "learning_rate": state.learning_rate}
    state.history.append(record)


def _validate(state: TrainingState, validation: Sequence[Sample], progress: Progress) -> None:
    """Score the averaged weights on the validation scenes that say where free places are, and keep the best."""
    histogram, recipe = Histogram.empty(), state.recipe
    for done, sample in enumerate(validation, 1):
        if sample.judges:
            view = view_of(sample, recipe.maps[:1], recipe.inset)
            known = view.labels[..., 0] != IGNORED
            probability = predict(state.average.module, recipe, view.pixels)
            histogram += Histogram.of(probability[known], view.labels[..., 0][known] == 1)
        progress(state.step, recipe.steps, f"validating, scene {done} of {len(validation)}")
    threshold, iou = histogram.best_threshold()
    logger.debug("Step {}: IoU {:.3f} on {} validation scenes.", state.step, iou, len(validation))
    state.record_round(iou, threshold)


class _Saver:
    """A fit's checkpoint file, where it has one."""

    def __init__(self, path: Path | None, belongs_to: str) -> None:
        self.path = path
        self._belongs_to = belongs_to
        self._saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        return self.path is not None and time.monotonic() - self._saved >= CHECKPOINT_SECONDS

    def save(self, state: TrainingState) -> None:
        if self.path is not None:
            save_checkpoint(self.path, self._belongs_to, state.state_dict())
            self._saved = time.monotonic()

    def restore(self, state: TrainingState) -> bool:
        saved = load_checkpoint(self.path, self._belongs_to) if self.path else None
        if saved is not None:
            state.load_state_dict(saved)
            logger.info("Training goes on from step {} of {}, from {}.", state.step, state.recipe.steps, self.path)
        return saved is not None
