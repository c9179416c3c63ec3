"""`parking train --out`: a model file without a registry, and what its drift can be measured against."""

import json
from pathlib import Path
from typing import get_args

import pytest

from cli import options
from monitoring.schema import table_from_parquet
from parking.data.synthetic import generate_dataset
from parking.learning.recipe import recipe_names
from tests.cli.conftest import Command
from tests.flows.conftest import QUICK

pytestmark = pytest.mark.e2e


def test_a_model_file_has_its_reference_beside_it_a_row_a_scene(parking: Command, tmp_path: Path) -> None:
    generate_dataset(tmp_path / "scenes", 6, seed=3, size=128)
    (tmp_path / "quick.json").write_text(json.dumps(QUICK))
    words = ("--data", "scenes", "--recipe", "quick.json", "--folds", "2", "--work", "work", "--out", "out/mine.onnx")
    answer = parking("train", *words)
    assert answer.status == 0, answer.err
    assert (tmp_path / "out" / "mine.onnx").is_file()
    reference = table_from_parquet((tmp_path / "out" / "mine.reference.parquet").read_bytes())
    assert reference.num_rows == 6
    assert "out/mine.reference.parquet" in answer.out


def test_the_help_names_every_recipe() -> None:
    (_, option) = get_args(options.RecipeName)
    assert [name for name in recipe_names() if f"'{name}'" not in option.help] == []
