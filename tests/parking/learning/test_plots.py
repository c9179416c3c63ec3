"""Pictures show the places that were found, not the ground that they were cut from."""

import numpy as np
from numpy.typing import NDArray

from parking.detection.contract import Contract
from parking.learning.plots import drawing, overlay
from parking.learning.rules import draft_contract
from parking.learning.scene_prediction import ScenePrediction
from tests.parking.learning.scenes import TINY, answered, box, paint

PLACE = box(10, 10, 20, 40)


def seen() -> tuple[ScenePrediction, Contract]:
    """A scene with one place, which is found."""
    (prediction,) = answered([paint(0, (PLACE,))])
    return prediction, draft_contract(TINY)


def blind(contract: Contract) -> Contract:
    """Rules by which no place is sure enough."""
    assert contract.bays is not None
    return contract.model_copy(update={"bays": contract.bays.model_copy(update={"least_mean": 0.9999})})


def orange(pixels: NDArray[np.uint8]) -> int:
    """How many pixels have the colour of what was found."""
    return int(((pixels[..., 0] > 200) & (pixels[..., 1] < 180) & (pixels[..., 2] < 90)).sum())


def test_a_drawing_outlines_found_places_over_annotated_ones() -> None:
    prediction, contract = seen()
    assert orange(drawing(prediction, contract)) > 300
    assert orange(drawing(prediction, blind(contract))) == 0


def test_an_overlay_outlines_found_places_on_the_image() -> None:
    prediction, contract = seen()
    outlined, tinted = overlay(prediction, contract), overlay(prediction, blind(contract))
    differs = np.abs(outlined.astype(int) - tinted).sum(axis=2) > 60
    assert 40 < differs.sum() < 1000
    assert not differs[:, 40:].any()


def test_drawings_of_any_shape_are_squares_of_one_size() -> None:
    prediction, contract = seen()
    (wide,) = answered([paint(1, (PLACE,), size=128)])
    assert drawing(prediction, contract).shape == drawing(wide, contract).shape
