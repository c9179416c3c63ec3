"""The study: what it asks, what it is told, and what survives a kill."""

from pathlib import Path

import pytest

from parking.errors import TrainingError
from parking.learning.recipe import SEARCHED, Recipe
from parking.learning.study import Study, TrialResult, find_study, open_study
from tests.parking.learning.scenes import TINY
from tests.parking.learning.trials import complete


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deeper/studies.db"


def test_the_first_trial_is_the_base_itself(url: str) -> None:
    first = open_study(url, "study").ask(TINY)
    assert first.number == 0
    assert first.recipe == TINY


def test_later_trials_differ_and_keep_what_is_not_searched(url: str) -> None:
    study = open_study(url, "study", seed=1)
    recipes = []
    for number in range(4):
        trial = study.ask(TINY)
        recipes.append(trial.recipe)
        study.tell(complete(trial.number, 0.1 * number))
    assert len({recipe.learning_rate for recipe in recipes}) == 4
    assert {(recipe.crop, recipe.steps, recipe.seed) for recipe in recipes} == {(64, 4, 0)}
    assert study.tried()[0].params.keys() == SEARCHED


def test_the_best_recipe_is_the_base_with_the_best_trials_choices(url: str) -> None:
    study = open_study(url, "study")
    trials = [study.ask(TINY) for _ in range(3)]
    for trial, value in zip(trials, (0.2, 0.5, 0.3), strict=True):
        study.tell(complete(trial.number, value))
    best = study.best_recipe(Recipe(steps=999))
    assert study.best_score == 0.5
    assert best.steps == 999
    assert best.learning_rate == trials[1].recipe.learning_rate
    assert best.loss == trials[1].recipe.loss


def test_a_study_without_a_complete_trial_says_so(url: str) -> None:
    study = open_study(url, "study")
    study.tell(TrialResult(study.ask(TINY).number, "failed", (), "the loss is no number"))
    with pytest.raises(TrainingError, match="No trial of the study study"):
        study.best_recipe(TINY)


def test_a_killed_search_goes_on_and_tries_again_what_was_interrupted(url: str) -> None:
    killed = open_study(url, "study")
    done = killed.ask(TINY)
    killed.tell(complete(done.number, 0.4))
    lost = killed.ask(TINY)
    resumed = open_study(url, "study")
    assert resumed.finished == 1
    again = resumed.ask(TINY)
    assert again.number != lost.number
    assert again.recipe == lost.recipe
    assert resumed.best_score == 0.4


def test_what_is_interrupted_again_and_again_counts_once_and_stays_what_it_was(url: str) -> None:
    begun = open_study(url, "study").ask(TINY)
    for _ in range(3):
        resumed = open_study(url, "study")
        again = resumed.ask(TINY)
        assert again.recipe == begun.recipe
        assert resumed.finished == 0
    resumed.tell(complete(again.number, 0.4))
    (tried,) = open_study(url, "study").tried()
    assert tried.number == again.number
    assert tried.is_start


def test_a_resumed_search_does_not_repeat_its_suggestions(url: str) -> None:
    first = open_study(url, "study", seed=3)
    for _ in range(3):
        first.tell(complete(first.ask(TINY).number, 0.1))
    resumed = open_study(url, "study", seed=3)
    tried = {resumed.ask(TINY).recipe.learning_rate for _ in range(2)}
    fresh = open_study(url, "fresh", seed=3)
    assert tried.isdisjoint({fresh.ask(TINY).recipe.learning_rate for _ in range(5)})


def test_the_steps_of_a_study_stay_those_of_its_first_run(url: str) -> None:
    assert open_study(url, "study").fix_steps(TINY, 50).steps == 50
    assert open_study(url, "study").fix_steps(TINY, 90).steps == 50


def test_a_database_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(TrainingError, match="PARKING_STUDY_URL"):
        open_study("sqlite:////proc/no/such.db", "study")


def tried(url: str, *values: float) -> Study:
    """A study whose trials have these scores."""
    study = open_study(url, "study")
    for value in values:
        study.tell(complete(study.ask(TINY).number, value))
    return study


def test_finals_are_run_by_the_best_trials_and_by_what_the_search_began_with(url: str) -> None:
    study = tried(url, 0.2, 0.5, 0.1, 0.4)
    full = TINY.model_copy(update={"steps": 40})
    finalists = study.finalists(full, 2)
    assert [one.number for one in finalists] == [0, 1, 3]
    assert finalists[0].recipe == full
    assert finalists[1].recipe.learning_rate == study.tried()[1].params["learning_rate"]
    assert {one.recipe.steps for one in finalists} == {40}


def test_the_best_final_wins_whatever_its_trial_came_to(url: str) -> None:
    study = tried(url, 0.2, 0.5, 0.4)
    for number, iou in ((0, 0.3), (1, 0.35), (2, 0.45)):
        study.tell_final(complete(number, iou), 40)
    assert [(final.number, final.iou, final.steps) for final in study.finals()] == [
        (2, 0.45, 40),
        (1, 0.35, 40),
        (0, 0.3, 40),
    ]
    rates = [one.params["learning_rate"] for one in study.tried()]
    assert study.best_recipe(TINY, by_finals=True).learning_rate == rates[2]
    assert study.best_recipe(TINY).learning_rate == rates[1]


def test_a_search_that_was_killed_among_its_finals_runs_the_others_only(url: str) -> None:
    tried(url, 0.2, 0.5, 0.4).tell_final(complete(1, 0.6), 40)
    assert [one.number for one in open_study(url, "study").finalists(TINY, 2)] == [0, 2]


def test_what_the_search_began_with_is_known_whatever_was_killed(url: str) -> None:
    killed = open_study(url, "study")
    lost, other = killed.ask(TINY), killed.ask(TINY)
    killed.tell(complete(other.number, 0.3))
    resumed = open_study(url, "study")
    again = resumed.ask(TINY)
    assert again.recipe == lost.recipe
    resumed.tell(complete(again.number, 0.2))
    assert [(one.number, one.is_start) for one in resumed.tried()] == [(1, False), (again.number, True)]
    assert [one.number for one in resumed.finalists(TINY, 1)] == [again.number, 1]


def test_who_only_looks_takes_no_trial_from_who_leads(url: str) -> None:
    leading = open_study(url, "study")
    running = leading.ask(TINY)
    assert find_study(url, "study").finished == 0
    find_study(url, "study").tell(complete(running.number, 0.4, 0.6))
    assert [one.fold_ious for one in leading.tried()] == [(0.4, 0.6)]
    assert leading.best_score == 0.5


def test_a_final_that_failed_is_run_again(url: str) -> None:
    study = tried(url, 0.2, 0.5)
    study.tell_final(TrialResult(1, "failed", (), "no GPU"), 40)
    assert [one.number for one in study.finalists(TINY, 1)] == [0, 1]


def test_finals_that_all_fail_leave_the_word_to_the_trials(url: str) -> None:
    study = tried(url, 0.2, 0.5)
    for number in (0, 1):
        study.tell_final(TrialResult(number, "failed", (), "the loss is no number"), 40)
    assert [final.fold_ious for final in study.finals()] == [(), ()]
    assert study.best_recipe(TINY, by_finals=True).learning_rate == study.tried()[1].params["learning_rate"]


def test_a_study_that_is_not_there_is_named(url: str) -> None:
    open_study(url, "study")
    with pytest.raises(TrainingError, match="no study other: make the search first"):
        find_study(url, "other")
