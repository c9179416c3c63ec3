"""What a model says it learnt from is known again, however it comes, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from parking.data.synthetic import generate_scene
from parking.learning.known_scenes import known_scenes, learnt_from
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import make_sample


def sample(seed: int) -> Sample:
    return replace(make_sample(seed), pixels=generate_scene(seed, 256).raster.pixels)


LEARNT, OTHERS = [sample(seed) for seed in range(8)], [sample(seed) for seed in range(8, 16)]
MODEL = learnt_from(LEARNT)


def jpeg(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR), np.uint8)


COPIES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "another format": jpeg,
    "another size": lambda pixels: np.asarray(cv2.resize(pixels, (150, 150), interpolation=cv2.INTER_AREA), np.uint8),
    "darker": lambda pixels: (pixels * 0.7).astype(np.uint8),
    "turned": lambda pixels: np.rot90(pixels),
    "turned and mirrored": lambda pixels: np.rot90(pixels, 3)[:, ::-1],
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_scene_is_known_again_in_another_form(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    copies = [
        replace(one, pixels=change(one.pixels), scene=one.scene.model_copy(update={"sha256": f"{n:x}" * 64}))
        for n, one in enumerate(LEARNT)
    ]
    assert known_scenes(MODEL, copies) == {copy.scene.sha256 for copy in copies}


def test_the_same_file_is_known_again_whatever_it_is_read_as() -> None:
    assert known_scenes(MODEL, [replace(LEARNT[0], pixels=OTHERS[0].pixels)]) == {LEARNT[0].scene.sha256}


def test_other_scenes_are_not_known() -> None:
    assert known_scenes(MODEL, OTHERS) == frozenset()
    assert known_scenes(MODEL, [*OTHERS, LEARNT[3]]) == {LEARNT[3].scene.sha256}


def test_a_model_that_learnt_from_nothing_knows_nothing() -> None:
    assert known_scenes(learnt_from([]), [*LEARNT, *OTHERS]) == frozenset()


def test_it_is_small_and_the_same_in_whatever_order() -> None:
    assert learnt_from(LEARNT[::-1]) == MODEL
    assert len(MODEL.model_dump_json()) < 54 * len(LEARNT) + 60
