"""A model says what it is, and is refused where it does not hold to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from parking.detection.contract import Contract, read_contract
from parking.detection.detector import Detector
from parking.detection.golden import block_means, decode_tile, encode_tile
from parking.errors import ModelError
from tests import doubles

Write = Callable[[Path], Path]


def test_a_contract_comes_back_from_the_file_as_it_was_written(tmp_path: Path) -> None:
    written = doubles.write_bright_model(tmp_path / "model.onnx", threshold=0.4, scores={"iou": 0.5})
    read = read_contract(written)
    assert read == doubles.contract(threshold=0.4, scores={"iou": 0.5})


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (doubles.write_corrupt_model, "not a model"),
        (doubles.write_model_without_contract, "no contract"),
        (doubles.write_model_with_bad_contract, "threshold"),
        (doubles.write_float_model, "tensor\\(float\\)"),
        (doubles.write_nan_model, "NaN"),
        (doubles.write_altered_model, "golden tile"),
    ],
)
def test_a_bad_model_is_refused_with_its_reason(tmp_path: Path, write: Write, words: str) -> None:
    path = write(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=words):
        Detector.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        read_contract(tmp_path / "nowhere.onnx")


def test_a_golden_tile_that_is_no_png_is_refused(tmp_path: Path) -> None:
    path = doubles.write_bright_model(tmp_path / "model.onnx", golden_tile="bm90IGEgcG5n")
    with pytest.raises(ModelError, match="golden tile"):
        Detector.load(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.0},
        {"tile": 100},
        {"tile": 64, "overlap": 64},
        {"format": 3},
        {"bays": {"usual_width_m": 2.5, "min_area_m2": 4.0}},
        {"maps": ("probability", "heights")},
    ],
)
def test_a_contract_that_cannot_work_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        doubles.contract(**wrong)


def test_a_contract_with_an_unknown_field_is_not_read() -> None:
    with pytest.raises(ValidationError):
        Contract.model_validate({**doubles.contract().model_dump(), "colour": "red"})


def test_a_golden_tile_survives_its_text() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert (decode_tile(encode_tile(pixels)) == pixels).all()


def test_block_means_are_those_of_the_blocks() -> None:
    probability = np.zeros((256, 256), np.float32)
    probability[16:32, 0:8] = 1.0
    grid = block_means(probability)
    assert grid[1][0] == 0.5
    assert sum(map(sum, grid)) == 0.5
