"""A model file that is calibrated anew on images of one's own: its network stays, its thresholds and intervals move."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parking.detection.contract import Contract
from parking.detection.detector import Detector
from parking.learning.crossval import calibrated
from parking.learning.export import write_with_contract
from parking.learning.holdout import Holdout, held_out, judge_file
from parking.learning.known_scenes import learnt_from
from parking.learning.training_scenes import Sample
from parking.progress import Progress, silent

__all__ = ["Calibrated", "calibrate_file"]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What came of a calibration."""

    contract: Contract
    """Of the file that was written, with what all scenes choose."""

    holdout: Holdout
    """What such rules are worth: each part of the scenes with the rules that the other parts choose."""


def calibrate_file(
    model: Path, detector: Detector, samples: Sequence[Sample], out: Path, progress: Progress = silent
) -> Calibrated:
    """Choose a model's thresholds, confidences and count interval on scenes that taught its network nothing.

    Args:
        model: the file.
        detector: the same file, loaded.
        samples: annotated scenes, at the contract's ground resolution where their own is known. Those that the network
            learnt from are left out.
        out: file to write; the scenes are listed in it as `calibrated_on`, so that none of them judges it later.
        progress: told of every scene.

    Raises:
        DatasetError: too few scenes are left, or the model does not say what it learnt from.
    """
    fair = held_out(detector.contract, samples)
    holdout = judge_file(detector, fair, progress)
    changes = {"calibrated_on": learnt_from(fair), "scores": {}}
    contract = calibrated(detector.contract, holdout.predictions).model_copy(update=changes)
    write_with_contract(model, contract, out)
    return Calibrated(contract, holdout)
