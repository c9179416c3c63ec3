"""The search space: what a search varies, and from where to where."""

from typing import Any, Literal

import optuna

from parking.learning.recipe import Recipe

__all__ = ["LOGARITHMIC", "changed", "suggest", "within_ranges"]

_LOSSES = ("bce+dice", "bce", "dice", "tversky", "focal")
_RANGES: dict[str, tuple[float, float, Literal["log", "linear"]]] = {
    "learning_rate": (3e-4, 6e-3, "log"),
    "weight_decay": (1e-4, 1e-1, "log"),
    "positive_weight": (1.0, 10.0, "log"),
    "free_share": (0.4, 0.95, "linear"),
    "light": (0.0, 1.0, "linear"),
    "scale_min": (0.5, 0.95, "linear"),
    "scale_max": (1.05, 1.9, "linear"),
}
LOGARITHMIC = frozenset(name for name, (_, _, scale) in _RANGES.items() if scale == "log")
"""Settings of which factors matter, not differences."""


def suggest(trial: optuna.Trial, base: Recipe) -> Recipe:
    """The search space: a recipe with the trial's choices in the place of the base's."""
    chosen: dict[str, Any] = {
        name: trial.suggest_float(name, low, high, log=scale == "log") for name, (low, high, scale) in _RANGES.items()
    }
    chosen["loss"] = trial.suggest_categorical("loss", _LOSSES)
    return changed(base, chosen)


def within_ranges(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own choices, or the nearest that the space has, as a trial names them."""
    values = {name: min(max(getattr(recipe, name), low), high) for name, (low, high, _) in _RANGES.items()}
    return {**values, "loss": recipe.loss}


def changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """A recipe with a trial's choices in the place of its own."""
    # Unlike a copy with changes, this checks them.
    return Recipe.model_validate(recipe.model_dump() | changes)
