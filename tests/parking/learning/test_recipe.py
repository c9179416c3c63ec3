"""Recipes, and where they come from."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from parking.errors import TrainingError
from parking.learning.recipe import SEARCHED, Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_goes_by_its_name(name: str) -> None:
    assert load_recipe(name) == Recipe.model_validate(load_recipe(name).model_dump())


def test_the_default_recipe_is_what_a_file_leaves_out() -> None:
    assert {"default", "demo", "shipped"} <= set(recipe_names())
    assert load_recipe("default") == Recipe()


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale_min": 2.0},
        {"overlap": 512},
        {"stepz": 3},
        {"maps": ()},
        {"maps": ("free_core", "probability")},
        {"maps": ("probability", "probability")},
        {"maps": ("probability", "vehicle")},
        {"inset": 0.5},
    ],
)
def test_a_recipe_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_where_a_recipe_runs_does_not_change_what_it_is() -> None:
    assert Recipe(device="cpu", workers=3).fingerprint() == Recipe().fingerprint()
    assert Recipe(learning_rate=2e-3).fingerprint() != Recipe().fingerprint()


def test_a_search_does_not_vary_how_generated_scenes_are_learnt_from() -> None:
    base = load_recipe("search")
    varied = base.model_copy(update={"learning_rate": 4e-3, "loss": "focal", "light": 0.9})
    assert varied.pretraining() == base.pretraining()
    wider = base.model_copy(update={"decoder_channels": (128, 64, 32, 16, 16)})
    assert wider.pretraining() != base.pretraining()


def test_a_search_begins_with_the_shipped_settings() -> None:
    assert load_recipe("search").model_dump(include=set(SEARCHED)) == load_recipe("shipped").model_dump(
        include=set(SEARCHED)
    )
