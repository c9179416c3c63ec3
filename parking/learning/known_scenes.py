"""Training scenes of a model: its contract lists them, and it is never scored on them."""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parking.data.duplicates import NEAR, fingerprint
from parking.detection.contract import LearntFrom
from parking.learning.training_scenes import Sample

__all__ = ["known_scenes", "learnt_from"]

_DIGITS = 16
"""Hexadecimal digits of a checksum that are kept: with 64 bits, collisions are negligible."""


def learnt_from(samples: Sequence[Sample]) -> LearntFrom:
    """The entry for a contract of a model that was trained on these scenes.

    It holds no imagery: 64 bits of each image's checksum, and its difference hash of 256 bits, 54 characters a scene.

    Args:
        samples: every scene that shaped the model: those trained on, and those that chose its threshold, cuts or
            calibration.
    """
    checksums = sorted({_short(sample) for sample in samples})
    fingerprints = np.array([fingerprint(sample.pixels) for sample in samples], np.uint64).reshape(-1, 4)
    return LearntFrom(
        checksums=base64.b64encode(bytes.fromhex("".join(checksums))).decode("ascii"),
        fingerprints=base64.b64encode(np.unique(fingerprints, axis=0).tobytes()).decode("ascii"),
    )


def known_scenes(model: LearntFrom, samples: Sequence[Sample]) -> frozenset[str]:
    """Checksums of the images among `samples` that a model has learnt from, or that show the same picture.

    A picture is the same in another format or size, brighter, turned or mirrored: training turns and mirrors too.

    Args:
        model: what the model says.
        samples: scenes to judge it by.
    """
    checksums = base64.b64decode(model.checksums).hex()
    known = {checksums[start : start + _DIGITS] for start in range(0, len(checksums), _DIGITS)}
    seen = np.frombuffer(base64.b64decode(model.fingerprints), np.uint64).reshape(-1, 4)
    return frozenset(
        sample.scene.sha256 for sample in samples if _short(sample) in known or _is_near(sample.pixels, seen)
    )


def _short(sample: Sample) -> str:
    return sample.scene.sha256[-_DIGITS:]


def _is_near(pixels: NDArray[np.uint8], seen: NDArray[np.uint64]) -> bool:
    turned = [np.rot90(pixels, turns) for turns in range(4)]
    ways = [fingerprint(np.ascontiguousarray(way)) for one in turned for way in (one, one[:, ::-1])]
    return any(bool((np.bitwise_count(seen ^ way).sum(axis=1) <= NEAR).any()) for way in ways)
