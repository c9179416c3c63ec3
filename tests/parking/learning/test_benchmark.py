"""Recipes are compared on the same folds, and each row says what taught it and what it is compared with."""

import json
from pathlib import Path

import numpy as np
import pytest

from parking.errors import TrainingError
from parking.learning.benchmark import Entry, Row, choose_entries, entries, iou_difference, run_entry
from parking.learning.benchmark_report import COLUMNS, as_json, score_table, write_page
from parking.learning.crossval import judge
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import TINY, Colours, answered, box, paint

PLACE, CAR = box(10, 10, 14, 28), box(60, 40, 12, 26)
TINY_ENTRY = Entry(name="tiny", what="a second of training", recipe=TINY)


def street(number: int) -> Sample:
    """A scene that says what is free, and nothing of vehicles."""
    return paint(number, (PLACE,), annotated=("free",))


def car_park(number: int) -> Sample:
    """A scene in which bays were drawn one by one."""
    drawn = (PLACE, box(30, 10, 14, 28), box(48, 10, 14, 28), box(66, 10, 14, 28))
    return paint(number, drawn, (CAR,), annotated=("free", "vehicle", "stall"), stalls=(*drawn, CAR))


def vehicles_alone(number: int) -> Sample:
    """A scene that says nothing of places."""
    return paint(number, (), (CAR,), annotated=("vehicle",))


def seen_row(entry: Entry, sure: float, samples: list[Sample]) -> Row:
    """What a network that reads colours answers in two folds, as a row; `sure` is its probability where it sees one."""
    predictions = answered(samples, Colours(sure))
    return Row(entry, judge([predictions[::2], predictions[1::2]], TINY, entry.teaching))


def test_only_the_kinds_that_an_entry_names_teach() -> None:
    samples = [street(0), car_park(1), vehicles_alone(2), street(3)]
    without = TINY_ENTRY.model_copy(update={"teaching": ("streets", "vehicles")})
    assert [sample.name for sample in without.teachers(samples)] == ["scene-0", "scene-2", "scene-3"]
    assert TINY_ENTRY.teachers(samples) == samples


def test_of_fewer_streets_the_same_ones_teach_whatever_their_order() -> None:
    samples = [street(n) for n in range(4)]
    few = TINY_ENTRY.model_copy(update={"most_streets": 2})
    chosen = {sample.name for sample in few.teachers([*samples, car_park(9)])}
    assert chosen == {"scene-0", "scene-1", "scene-9"}
    assert {sample.name for sample in few.teachers([car_park(9), *samples[::-1]])} == chosen


def test_what_does_not_teach_chooses_no_rules_and_is_scored_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen_by: list[set[str]] = []

    def choose(groups: list[tuple[str, object]]) -> float:
        chosen_by.append({kind for kind, _ in groups})
        return 0.5

    monkeypatch.setattr("parking.learning.crossval.choose_threshold", choose)
    without = TINY_ENTRY.model_copy(update={"teaching": ("streets",)})
    row = seen_row(without, 0.98, [street(n) for n in range(4)] + [car_park(n) for n in range(4, 8)])
    assert chosen_by == [{"streets"}] * 3
    assert row.holdout.scores("bays").iou > 0.9


def test_a_row_is_compared_with_the_one_it_names_scene_by_scene() -> None:
    samples = [car_park(n) for n in range(8)]
    sharp = seen_row(TINY_ENTRY, 0.98, samples)
    blind = seen_row(TINY_ENTRY.model_copy(update={"name": "blind", "against": "tiny"}), 0.02, samples)
    rows = {row.entry.name: row for row in (sharp, blind)}
    found = iou_difference(blind, rows, "bays")
    assert found is not None
    assert found.high < 0
    assert iou_difference(sharp, rows, "bays") is None
    assert iou_difference(blind, {"blind": blind}, "bays") is None
    assert iou_difference(blind, rows, "streets") is None


def test_scenes_that_are_too_few_give_no_difference_instead_of_none_at_all() -> None:
    samples = [car_park(n) for n in range(4)]
    one = seen_row(TINY_ENTRY, 0.98, samples)
    other = seen_row(TINY_ENTRY.model_copy(update={"name": "blind", "against": "tiny"}), 0.02, samples)
    assert iou_difference(other, {"tiny": one, "blind": other}, "bays") is None


def test_every_entry_is_compared_with_one_before_it() -> None:
    names = [entry.name for entry in entries()]
    for number, entry in enumerate(entries()):
        assert entry.against is None or entry.against in names[:number], entry.name


@pytest.mark.e2e
@pytest.mark.e2e
def test_rows_of_two_real_runs_become_a_page_and_numbers(tmp_path: Path) -> None:
    samples = (
        [street(n) for n in range(6)] + [car_park(n) for n in range(6, 24)] + [vehicles_alone(n) for n in (24, 25)]
    )
    one_map = TINY.model_copy(update={"maps": ("probability",)})
    chosen = [
        TINY_ENTRY.model_copy(update={"name": "ground", "recipe": one_map, "teaching": ("streets",)}),
        TINY_ENTRY.model_copy(update={"against": "ground"}),
    ]
    rows = [run_entry(entry, samples, 3, tmp_path / "work", most_folds=2) for entry in chosen]
    assert [len(row.validated.parts) for row in rows] == [2, 2]
    write_page(rows, {"tiny": 1.5}, "the command", tmp_path / "docs")
    page = (tmp_path / "docs" / "recipes.md").read_text()
    table = [line for line in page.splitlines() if line.startswith(("| ground |", "| tiny |"))]
    assert [line.count("|") for line in table] == [len(COLUMNS) + 3, len(COLUMNS) + 3, 5]
    assert "2 of them were trained and scored" in page
    assert (tmp_path / "docs" / "recipes.png").stat().st_size > 1000
    ground, tiny = json.loads(as_json(rows, {"tiny": 1.5}))
    assert (ground["teaching"], ground["against"], tiny["against"]) == (["streets"], None, "ground")
    assert set(tiny["scores"]) == {"streets", "bays", "vehicles"}
    assert set(tiny["iou_differences"]) == {"bays"}, "four streets are too few to compare rows by"


def test_a_score_that_cannot_be_told_is_an_empty_cell() -> None:
    titles, line = score_table([seen_row(TINY_ENTRY, 0.98, [street(n) for n in range(8)])], {})
    cells = dict(zip(titles, line, strict=True))
    assert float(cells["streets: IoU"]) > 0.9
    assert cells["car parks: IoU"] == cells["megapixels/s"] == ""


@pytest.mark.e2e
@pytest.mark.e2e
def test_a_row_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    samples = [street(n) for n in range(6)]
    first = run_entry(TINY_ENTRY, samples, 2, tmp_path)
    said: list[str] = []
    again = run_entry(TINY_ENTRY, samples, 2, tmp_path, lambda done, total, what: said.append(what))
    assert not said
    assert np.allclose(again.validated.predictions[0].probability, first.validated.predictions[0].probability)


def test_a_row_that_is_not_there_is_named() -> None:
    with pytest.raises(TrainingError, match=r"no row nonsense: choose from streets, car-parks, "):
        choose_entries("scale,nonsense")
