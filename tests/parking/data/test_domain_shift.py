from typing import get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from parking.data.domain_shift import Shift, apply_shift
from parking.data.synthetic import generate_scene

DAY = generate_scene(5, 384).raster.pixels


@pytest.mark.parametrize("shift", get_args(Shift))
def test_a_shift_is_deterministic_and_keeps_the_size(shift: Shift) -> None:
    shifted = apply_shift(DAY, shift, 3)
    assert shifted.shape == DAY.shape
    assert shifted.dtype == np.uint8
    assert np.array_equal(shifted, apply_shift(DAY, shift, 3))
    assert not np.array_equal(shifted, apply_shift(DAY, shift, 4))
    assert apply_shift(DAY[:1, :1], shift, 0).shape == (1, 1, 3)


def test_night_is_dark_but_not_black() -> None:
    assert DAY.mean() * 0.08 < apply_shift(DAY, "night").mean() < DAY.mean() * 0.5


def test_haze_lifts_the_dark_and_takes_contrast() -> None:
    hazy = apply_shift(DAY, "haze")
    assert hazy.std() < DAY.std() * 0.6
    assert np.percentile(hazy, 1) > np.percentile(DAY, 1) + 50


def test_winter_takes_the_green() -> None:
    def saturation(image: NDArray[np.uint8]) -> float:
        return float(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean())

    assert saturation(apply_shift(DAY, "season")) < saturation(DAY) * 0.5
