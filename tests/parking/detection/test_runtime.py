"""Whatever runs a model, the file says the same of itself and answers nearly the same."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from parking.data.imagery import Raster
from parking.data.synthetic.scene import generate_scene
from parking.detection import runtime
from parking.detection.detector import Detector
from parking.detection.runtime import check_runtime, open_model
from parking.errors import ModelError, SettingsError
from parking.settings import Settings
from parking.shipped import shipped_model
from service.app import create_app
from tests.doubles import write_altered_model, write_bright_model, write_model_without_contract

ROUNDING = 0.1
"""bfloat16 keeps 8 bits of a number: of a hundred pixels of the shipped model one may be further off than this."""


@pytest.fixture(scope="module")
def scene() -> Raster:
    return Raster(generate_scene(3, 256).raster.pixels)


@pytest.fixture(scope="module")
def openvino() -> Detector:
    return Detector.load(shipped_model(), threads=2, at_once=2, runtime="openvino")


def test_a_file_says_the_same_of_itself_in_every_runtime(openvino: Detector) -> None:
    expected = open_model(shipped_model())
    assert openvino._model.signature == expected.signature
    assert openvino._model.metadata == expected.metadata
    assert openvino.contract == Detector.load(shipped_model()).contract


def test_openvino_answers_nearly_as_onnx_runtime_does(openvino: Detector, scene: Raster) -> None:
    expected, answer = Detector.load(shipped_model(), threads=2).read(scene), openvino.read(scene)
    difference = np.abs(answer.probability - expected.probability)
    assert expected.probability.max() > 0.5
    assert np.quantile(difference, 0.99) < ROUNDING
    assert difference.mean() < ROUNDING / 10
    # A texture tells the size of places to a fifth; of one tile bfloat16 moves it by some per cent.
    assert answer.size_px == pytest.approx(expected.size_px, rel=0.05)
    assert answer.embedding == pytest.approx(expected.embedding, abs=0.2)


def test_openvino_answers_several_at_once_as_one_by_one(openvino: Detector, scene: Raster) -> None:
    alone = openvino.probability(scene)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: openvino.probability(scene), range(8)):
            np.testing.assert_array_equal(answer, alone)


def test_openvino_refuses_what_is_no_model_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        open_model(tmp_path / "none.onnx", runtime="openvino")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(shipped_model().read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a model that OpenVINO can read"):
        open_model(broken, runtime="openvino")
    with pytest.raises(ModelError, match="carries no contract"):
        Detector.load(write_model_without_contract(tmp_path / "silent.onnx"), runtime="openvino")
    with pytest.raises(ModelError, match="golden"):
        Detector.load(write_altered_model(tmp_path / "altered.onnx"), runtime="openvino")
    assert Detector.load(write_bright_model(tmp_path / "bright.onnx"), runtime="openvino")


def test_a_runtime_that_is_not_installed_is_named_before_the_service_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_runtime("openvino")
    monkeypatch.setattr(runtime, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    check_runtime("onnxruntime")
    with pytest.raises(SettingsError, match="uv sync --group openvino"):
        create_app(Settings(_env_file=None, state_dir=tmp_path, runtime="openvino"))
