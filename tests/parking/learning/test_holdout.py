"""A model file is judged by scenes that its network has not learnt from, by rules that other scenes chose."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from parking.detection.contract import Contract
from parking.errors import DatasetError
from parking.learning.evaluate import score, score_together
from parking.learning.holdout import PARTS, Holdout, held_out, judge_file
from parking.learning.holdout_report import score_table, write_holdout_page
from parking.learning.known_scenes import learnt_from
from parking.learning.predict import detector_of
from parking.learning.rules import draft_contract
from parking.learning.scene_cache import known_to
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.training_scenes import Sample
from tests.doubles import contract
from tests.parking.learning.scenes import TINY, Colours, answered, box, make_samples, paint

PLACE, SECOND, CAR = box(10, 10, 14, 28), box(30, 10, 14, 28), box(60, 40, 12, 26)


def scenes() -> list[Sample]:
    """Streets, car parks, and scenes that say nothing of places, four of each."""
    streets = [paint(n, (PLACE,), annotated=("free",)) for n in range(4)]
    bays = [
        paint(n, (PLACE, SECOND), (CAR,), annotated=("free", "vehicle", "stall"), stalls=(PLACE, SECOND, CAR))
        for n in range(4, 8)
    ]
    return [*streets, *bays, *(paint(n, (), (CAR,), annotated=("vehicle",)) for n in range(8, 12))]


@pytest.fixture(scope="module")
def judged() -> Holdout:
    return judge_file(detector_of(Colours(), TINY), scenes())


def test_scenes_that_the_network_learnt_from_are_left_out() -> None:
    samples = make_samples(6)
    made = contract(learnt_from=learnt_from(samples[:3]))
    assert [sample.name for sample in held_out(made, samples)] == ["scene-3", "scene-4", "scene-5"]


def test_scenes_that_chose_thresholds_alone_are_held_out_here_and_judge_nowhere_else() -> None:
    samples = make_samples(6)
    made = contract(learnt_from=learnt_from(samples[:3]), calibrated_on=learnt_from(samples[3:5]))
    assert len(held_out(made, samples)) == 3
    assert known_to(made, samples) == frozenset(sample.scene.sha256 for sample in samples[:5])


def test_too_little_to_judge_by_is_said() -> None:
    samples = make_samples(4)
    with pytest.raises(DatasetError, match=r"Of 4 scenes the model has not learnt from 1: .* Give it images"):
        held_out(contract(learnt_from=learnt_from(samples[:3])), samples)
    with pytest.raises(DatasetError, match="does not say which scenes it learnt from"):
        held_out(contract(learnt_from=None), samples)


def test_each_kind_of_scenes_is_scored_apart(judged: Holdout) -> None:
    assert judged.kinds == ("streets", "bays", "vehicles")
    assert [judged.scores(kind).scenes for kind in judged.kinds] == [4, 4, 0]
    assert [judged.places(kind) for kind in judged.kinds] == [4, 8, 0]
    assert judged.scores("bays").f1_50 == 1
    assert judged.scores("vehicles").vehicle_f1_50 == 1
    assert judged.scores("streets").vehicle_f1_50 is None


def test_every_scene_is_in_one_part_and_chooses_the_rules_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen_by: list[set[str]] = []

    def choose(rules: Contract, predictions: Sequence[ScenePrediction]) -> Contract:
        chosen_by.append({p.name for p in predictions})
        return rules

    monkeypatch.setattr("parking.learning.holdout.calibrated", choose)
    parts = [{p.name for p in part} for part, _ in judge_file(detector_of(Colours(), TINY), scenes()).parts]
    everything = {sample.name for sample in scenes()}
    assert len(parts) == PARTS
    assert sorted(name for part in parts for name in part) == sorted(everything)
    assert chosen_by == [everything - part for part in parts]


def test_of_few_places_there_are_as_many_parts() -> None:
    assert len(judge_file(detector_of(Colours(), TINY), scenes()[:3]).parts) == 3


def test_parts_with_rules_of_their_own_are_summed_before_the_ratio() -> None:
    draft = draft_contract(TINY)
    assert draft.bays is not None
    blind = draft.model_copy(update={"bays": draft.bays.model_copy(update={"least_mean": 0.9999})})
    one, other = answered([paint(0, (PLACE,))]), answered([paint(1, (PLACE, SECOND))])
    together = score_together([(one, draft), (other, blind)])
    # One of three places found, none falsely.
    assert together.f1_50 == pytest.approx(2 / 4)
    assert together.count_bias == pytest.approx(-2 / 3)
    assert score_together([(one, draft), (other, draft)]) == score([*one, *other], draft)


def test_the_page_has_a_column_for_each_kind_and_pictures(judged: Holdout, tmp_path: Path) -> None:
    write_holdout_page(judged, "the command", tmp_path)
    page = (tmp_path / "quality.md").read_text()
    assert "| score | streets | car parks | vehicles alone |" in page
    assert "| scenes, places | 4, 4 | 4, 8 | 4 |" in page
    assert "| F1 of single places at IoU 0.5 | 1.00 | 1.00 |  |" in page
    drawn = {f"quality-{kind}-{name}.png" for kind in ("streets", "bays") for name in ("best", "worst")}
    assert {path.name for path in tmp_path.glob("*.png")} == drawn
    assert all(f"({name})" in page for name in drawn)
    assert [row[0] for row in score_table(judged)][:2] == ["score", "scenes, places"]
