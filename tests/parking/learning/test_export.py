"""Exported files answer as the network they came from."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from parking.detection.contract import Contract, read_contract
from parking.detection.detector import Detector
from parking.errors import TrainingError
from parking.learning import export, hardware
from parking.learning.export import export_onnx
from parking.learning.network import build_network
from parking.learning.predict import predict
from parking.learning.release import with_golden_tile
from parking.learning.rules import draft_contract
from tests.parking.learning.scenes import TINY, make_sample

pytestmark = pytest.mark.e2e

NETWORK = build_network(TINY)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return with_golden_tile(draft_contract(TINY), NETWORK, TINY)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Path:
    return export_onnx(NETWORK, TINY, tmp_path_factory.mktemp("export") / "model.onnx", contract)


def test_the_file_is_one_file_and_carries_its_contract(model: Path, contract: Contract) -> None:
    assert [path.name for path in model.parent.iterdir()] == ["model.onnx"]
    assert read_contract(model) == contract


def test_the_detector_takes_it_and_answers_as_torch_does_in_float32(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_cpu_is_fast", lambda: False)
    sample = make_sample(0, size=150)
    detector = Detector.load(model)
    assert detector.contract.tile == TINY.tile
    from parking.data.imagery import Raster

    served = detector.probability(Raster(sample.pixels, gsd=TINY.gsd))
    np.testing.assert_allclose(served, predict(NETWORK, TINY, sample.pixels), atol=1e-3)


def test_normalisation_and_sigmoid_are_inside(model: Path) -> None:
    graph = onnx.load(str(model)).graph
    assert [node.name for node in graph.input] == ["tiles"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [node.name for node in graph.output] == [*TINY.maps]
    assert {node.type.tensor_type.elem_type for node in graph.output} == {onnx.TensorProto.FLOAT}
    for node in graph.output:
        assert [axis.dim_param for axis in node.type.tensor_type.shape.dim] == ["tile", "height", "width"]


def test_the_network_is_left_as_it_was(contract: Contract, tmp_path: Path) -> None:
    network = build_network(TINY).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_onnx(network, TINY, tmp_path / "model.onnx", contract)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training


def test_a_file_that_answers_otherwise_is_refused(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export._answer
    monkeypatch.setattr(export, "_answer", lambda *given: [answer + 0.01 for answer in real(*given)])
    with pytest.raises(TrainingError, match=r"differs from the network by 0\.01"):
        export_onnx(NETWORK, TINY, tmp_path / "model.onnx", contract)
