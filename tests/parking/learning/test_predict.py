"""Scenes are judged through the code that will serve: torch's network in the detector is the exported file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from parking.data.raster import Raster
from parking.detection.detector import Detector
from parking.learning import hardware
from parking.learning.export import export_onnx
from parking.learning.network import build_network
from parking.learning.predict import detector_of, predict
from parking.learning.release import with_golden_tile
from parking.learning.rules import draft_contract
from parking.learning.scene_embedding import fit_heads
from parking.learning.scene_prediction import predict_scene
from tests.parking.learning.scenes import TINY, Colours, box, make_sample, make_samples, paint

SEEING = TINY.model_copy(update={"encoder_weights": "imagenet"})


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_cpu_is_fast", lambda: False)


@pytest.mark.e2e
def test_a_network_reads_a_scene_as_the_file_that_is_made_of_it(tmp_path: Path) -> None:
    network, heads = build_network(SEEING).eval(), fit_heads(SEEING, make_samples(10))
    contract = with_golden_tile(draft_contract(SEEING), network, SEEING)
    served = Detector.load(export_onnx(network, SEEING, tmp_path / "model.onnx", contract, heads))
    ours = detector_of(network, SEEING, heads)
    assert ours.contract.model_copy(update={"golden_tile": "", "trained": contract.trained}) == contract.model_copy(
        update={"golden_tile": "", "golden_grid": ()}
    )
    pixels = make_sample(3, size=150).pixels
    for raster in (Raster(pixels, gsd=TINY.gsd), Raster(pixels)):
        theirs, mine = served.read_scaled(raster), ours.read_scaled(raster)
        assert mine.scale.gsd == pytest.approx(theirs.scale.gsd, rel=1e-3)
        assert mine.scale.source == theirs.scale.source
        assert mine.reading.size_px == pytest.approx(theirs.reading.size_px, rel=1e-3)
        np.testing.assert_allclose(mine.reading.embedding, theirs.reading.embedding, atol=0.05)
        assert set(mine.reading.maps) == set(TINY.maps)
        for name, values in theirs.reading.maps.items():
            np.testing.assert_allclose(mine.reading.maps[name], values, atol=2e-3)


def test_the_network_that_is_read_is_left_as_it_was() -> None:
    network = build_network(TINY).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict_scene(detector_of(network, TINY), make_sample(0))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_each_map_has_the_name_of_its_output() -> None:
    place, car = box(10, 10, 14, 28), box(60, 10, 10, 25)
    prediction = predict_scene(detector_of(Colours(), TINY), paint(0, (place,), (car,)))
    in_place = {name: float(values[24, 17]) for name, values in prediction.maps.items()}
    in_car = {name: float(values[22, 65]) for name, values in prediction.maps.items()}
    assert {name for name, value in in_place.items() if value > 0.9} == {"probability", "free_core"}
    assert {name for name, value in in_car.items() if value > 0.9} == {"vehicle", "vehicle_core"}


def test_the_validation_sees_the_same_probability_as_the_detector() -> None:
    sample = paint(0, (box(10, 10, 14, 28),), size=200)
    probability = predict(Colours(), TINY, sample.pixels)
    prediction = predict_scene(detector_of(Colours(), TINY), sample)
    np.testing.assert_allclose(prediction.probability, probability, atol=1e-3)
    turned = predict(Colours(), TINY, sample.pixels, flips=True)
    np.testing.assert_allclose(turned, probability, atol=1e-5)
