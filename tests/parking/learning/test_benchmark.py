"""The benchmark scores what the contract will serve, and writes it down whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parking.errors import TrainingError
from parking.learning.benchmark import BASELINE, Row, choose_entries, run_entry, score_slices, squeezed
from parking.learning.benchmark_report import COLUMNS, as_json, write_page
from parking.learning.crossval import CrossValidation
from parking.learning.evaluate import score
from parking.learning.rules import draft_contract
from parking.learning.targets import view_of
from tests.parking.learning.scenes import TINY, answered, box, make_samples, paint

SHIPPED = choose_entries("shipped")[0].model_copy(update={"recipe": TINY})


def validated(least_mean: float) -> CrossValidation:
    """Out-of-fold predictions that are the truth, of scenes with one place and with four."""
    scenes = [paint(0, (box(10, 10, 14, 28),)), paint(1, tuple(box(6 + 20 * n, 30, 14, 28) for n in range(4)))]
    predictions = tuple(answered(scenes))
    draft = draft_contract(TINY)
    assert draft.bays is not None
    contract = draft.model_copy(update={"bays": draft.bays.model_copy(update={"least_mean": least_mean})})
    return CrossValidation((score(predictions, contract),) * 2, (predictions,), contract)


def test_slices_are_scored_with_the_rules_that_all_folds_choose() -> None:
    plain = score_slices(Row(SHIPPED, validated(0.3)))
    assert {"annotator: a", "density: at most 2.5 places", "brightness: darker half"} <= set(plain)
    assert plain["annotator: a"].f1_50 == 1
    assert score_slices(Row(SHIPPED, validated(0.9999)))["annotator: a"].f1_50 == 0


def test_a_score_that_some_folds_could_not_measure_is_the_mean_of_the_rest() -> None:
    made = validated(0.3)
    one, two = made.fold_scores
    row = Row(SHIPPED, replace(made, fold_scores=(one.model_copy(update={"bay_ece": 0.5}), two)))
    assert (row.mean("bay_ece"), row.spread("bay_ece")) == (0.5, 0)
    assert np.isnan(row.mean("gsd_error"))


def test_the_earlier_recipe_answers_with_free_ground_alone() -> None:
    assert BASELINE.maps == ("probability",)


def test_a_squeezed_scene_is_learnt_from_at_its_new_size_with_all_that_was_drawn() -> None:
    place, car, unknown = box(10, 10, 14, 28), box(60, 40, 10, 24), box(0, 80, 96, 16)
    whole = replace(paint(0, (place,), (car,), ignored=(unknown,)), zoom=0.5)
    small = squeezed(whole, 48)
    view = view_of(small, TINY.maps, TINY.inset)
    assert view.pixels.shape == (48, 48, 3)
    assert (view.labels[8, 8, 0], view.labels[25, 32, 1]) == (1, 1)
    assert (view.labels[40:, :, 0] == 255).all()
    assert small.judged[:40].all()
    assert not small.judged[40:].any()


def test_rows_of_two_real_runs_become_a_page_and_numbers(tmp_path: Path) -> None:
    one_map = TINY.model_copy(update={"maps": ("probability",)})
    entries = [
        SHIPPED.model_copy(update={"name": name, "recipe": recipe, "resize": side})
        for name, recipe, side in (("whole", TINY, None), ("squeezed", one_map, 64))
    ]
    rows = [run_entry(entry, make_samples(6), 2, tmp_path / "work") for entry in entries]
    write_page(rows, {"whole": 1.5}, "the command", tmp_path / "docs")
    text = (tmp_path / "docs" / "recipes.md").read_text()
    table = [line for line in text.splitlines() if line.startswith(("| whole |", "| squeezed |"))]
    assert [line.count("±") for line in table] == [len(COLUMNS)] * 2
    assert "| annotator: a | 6 |" in text
    assert {path.name for path in (tmp_path / "docs").glob("*.png")} == {
        "recipes.png", "recipes-best.png", "recipes-worst.png"
    }  # fmt: skip
    assert '"name": "squeezed"' in as_json(rows, {})


def test_short_rows_are_run_on_some_folds_and_have_a_table_of_their_own(tmp_path: Path) -> None:
    short = choose_entries("imagenet")[0].model_copy(update={"recipe": TINY, "most_folds": 2})
    rows = [run_entry(entry, make_samples(6), 3, tmp_path / "work") for entry in (short, SHIPPED)]
    assert [len(row.validated.parts) for row in rows] == [2, 3]
    write_page(rows, {}, "the command", tmp_path / "docs")
    page = (tmp_path / "docs" / "recipes.md").read_text()
    first, second = page.split("## What single ideas are worth")
    assert "| shipped |" in first
    assert "| imagenet |" not in first
    assert "on 2 of the folds" in second
    assert "| imagenet |" in second.split("## Where `shipped` is good and where not")[0]


def test_a_row_that_is_not_there_is_named() -> None:
    with pytest.raises(TrainingError, match=r"no row nonsense: choose from baseline-2024, "):
        choose_entries("shipped,nonsense")
