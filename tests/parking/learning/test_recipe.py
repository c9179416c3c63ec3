"""Recipes, and where they come from."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from parking.errors import TrainingError
from parking.learning.recipe import Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_goes_by_its_name(name: str) -> None:
    assert load_recipe(name) == Recipe.model_validate(load_recipe(name).model_dump())


def test_the_default_recipe_is_what_a_file_leaves_out() -> None:
    assert {"default", "demo", "shipped"} <= set(recipe_names())
    assert load_recipe("default") == Recipe()
    assert load_recipe("shipped").pretrain_steps > 0


def test_a_recipe_comes_back_from_its_file(tmp_path: Path) -> None:
    recipe = Recipe(steps=7, loss="focal")
    path = tmp_path / "recipe.json"
    path.write_text(recipe.model_dump_json())
    assert load_recipe(str(path)) == recipe


def test_a_recipe_that_is_nowhere_is_named() -> None:
    with pytest.raises(TrainingError, match="no recipe 'defualt'"):
        load_recipe("defualt")


def test_a_wrong_value_in_a_file_is_named_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"crop": 100}')
    with pytest.raises(TrainingError, match=r"crop: .*multiple of 32"):
        load_recipe(str(path))


@pytest.mark.parametrize("wrong", [{"scale_min": 2.0}, {"overlap": 512}, {"stepz": 3}])
def test_a_recipe_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_where_a_recipe_runs_does_not_change_what_it_is() -> None:
    assert Recipe(device="cpu", workers=3).fingerprint() == Recipe().fingerprint()
    assert Recipe(learning_rate=2e-3).fingerprint() != Recipe().fingerprint()
