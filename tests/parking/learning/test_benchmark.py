"""The benchmark scores what the contract will serve, and writes it down whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parking.detection.contract import CueWeights, CutChooser, PlaceCalibration
from parking.detection.split_candidates import CUES
from parking.errors import TrainingError
from parking.learning.bay_size import BaySize
from parking.learning.benchmark import Row, choose_entries, run_entry, score_slices
from parking.learning.benchmark_report import COLUMNS, as_json, write_page
from parking.learning.crossval import CrossValidation
from parking.learning.evaluate import ScenePrediction, score
from parking.learning.recipe import Recipe
from tests.parking.learning.scenes import TINY, box, make_sample, make_samples

NOTHING_IS_GOOD_ENOUGH = CutChooser(
    weights=CueWeights(**dict.fromkeys(CUES, 0.0)), offset=-5.0, least=0.9, usual_size_m=4.0
)


def validated(cuts: CutChooser | None) -> CrossValidation:
    """Out-of-fold predictions that are the truth, of scenes with one place and with four."""
    scenes = [make_sample(0, rings=(box(10, 10, 22, 45),)), make_sample(1, rings=(box(4, 30, 88, 45),))]
    predictions = tuple(ScenePrediction(s.name, np.where(s.mask, 0.9, 0.1).astype(np.float16), s) for s in scenes)
    made = CrossValidation((), (predictions,), BaySize(), cuts, PlaceCalibration(slope=2.0))
    return replace(made, fold_scores=(score(predictions, made.rules(RECIPE), RECIPE.gsd),) * 2)


RECIPE = Recipe(gsd=0.11)


def test_slices_are_scored_with_the_cuts_that_all_folds_choose() -> None:
    entry = choose_entries("shipped")[0].model_copy(update={"recipe": RECIPE})
    plain = score_slices(Row(entry, validated(None)))
    assert {"annotator: a", "density: at most 1 places", "brightness: darker half"} <= set(plain)
    assert plain["annotator: a"].f1_25 > 0
    assert score_slices(Row(entry, validated(NOTHING_IS_GOOD_ENOUGH)))["annotator: a"].f1_25 == 0


def test_rows_of_two_real_runs_become_a_page_and_numbers(tmp_path: Path) -> None:
    entries = [
        choose_entries("shipped")[0].model_copy(update={"name": name, "recipe": TINY, "resize": side})
        for name, side in (("whole", None), ("squeezed", 64))
    ]
    rows = [run_entry(entry, make_samples(6), 2, tmp_path / "work") for entry in entries]
    write_page(rows, {"whole": 1.5}, "the command", tmp_path / "docs")
    text = (tmp_path / "docs" / "quality.md").read_text()
    table = [line for line in text.splitlines() if line.startswith(("| whole |", "| squeezed |"))]
    assert [line.count("±") for line in table] == [len(COLUMNS)] * 2
    assert "| annotator: a | 6 |" in text
    assert {path.name for path in (tmp_path / "docs").glob("*.png")} == {
        "quality.png", "quality-best.png", "quality-worst.png"
    }  # fmt: skip
    assert '"name": "squeezed"' in as_json(rows, {})


def test_short_rows_are_run_on_some_folds_and_have_a_table_of_their_own(tmp_path: Path) -> None:
    shipped = choose_entries("shipped")[0].model_copy(update={"recipe": TINY})
    short = choose_entries("imagenet")[0].model_copy(update={"recipe": TINY, "most_folds": 2})
    rows = [run_entry(entry, make_samples(6), 3, tmp_path / "work") for entry in (short, shipped)]
    assert [len(row.validated.parts) for row in rows] == [2, 3]
    write_page(rows, {}, "the command", tmp_path / "docs")
    page = (tmp_path / "docs" / "quality.md").read_text()
    first, second = page.split("## What single ideas are worth")
    assert "| shipped |" in first
    assert "| imagenet |" not in first
    assert "on 2 of the folds" in second
    assert "| imagenet |" in second.split("## Where `shipped` is good and where not")[0]


def test_a_row_that_is_not_there_is_named() -> None:
    with pytest.raises(TrainingError, match=r"no row nonsense: choose from baseline-2024, "):
        choose_entries("shipped,nonsense")
