"""What a search tried is told as a page and a picture, from the study alone."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from parking.errors import TrainingError
from parking.learning.study import Study, TrialResult, open_study
from parking.learning.study_report import PICTURE, search_page, search_picture
from tests.parking.learning.scenes import TINY
from tests.parking.learning.trials import complete, try_once


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


def search(url: str, monkeypatch: pytest.MonkeyPatch, *trials: list[float]) -> Study:
    study = open_study(url, "study")
    study.fix_steps(TINY, 25)
    for ious in trials:
        try_once(study, monkeypatch, *ious)
    return study


def page(study: Study) -> str:
    return search_page(study, title="The search", about="Around the recipe `tiny`:")


def test_the_page_ranks_trials_by_the_mean_of_their_folds(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(search(url, monkeypatch, [0.2, 0.3], [0.5, 0.3], [0.1, 0.1]))
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 0", "| 2"]
    assert rows[0].split(" | ")[1:3] == ["0.400 ± 0.141", "2"]
    assert "3 trials of 25 steps a fold: 3 complete, 0 stopped early" in text
    assert "Best: trial 1, IoU 0.400, +0.150 against the settings it began with." in text
    assert f"({PICTURE})" in text


def test_a_trial_that_was_stopped_ranks_below_complete_ones(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = search(url, monkeypatch, *[[0.4, 0.4]] * 4, [0.39, 0.9])
    assert [one.outcome for one in study.tried()][-1] == "pruned"
    text = page(study)
    assert "4 complete, 1 stopped early" in text
    assert [line for line in text.splitlines() if line.startswith("| 4 | 0.390 | 1 |")]


def test_finals_have_a_table_of_their_own(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = search(url, monkeypatch, [0.2, 0.3], [0.5, 0.3])
    assert "full length" not in page(study)
    study.tell_final(complete(1, 0.4), 100)
    study.tell_final(complete(0, 0.6), 100)
    _, text = page(study).split("## Run again at full length")
    assert "100 steps a fold" in text
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert rows == ["| 0 (where the search began) | 0.600 | 0.600 |", "| 1 | 0.400 | 0.400 |"]


def test_what_matters_is_said_of_all_trials_once_there_are_enough(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = search(url, monkeypatch, [0.2, 0.2], [0.3, 0.3])
    assert "too few trials" in page(study)
    for number in range(40):
        trial = study.ask(TINY)
        study.pruning(trial.number)(0, -abs(np.log(trial.recipe.learning_rate / 1e-3)))
        study.tell(TrialResult(trial.number, "complete" if number % 8 == 0 else "pruned", (0.2,)))
    weights = study.importances()
    assert next(iter(weights)) == "learning_rate"
    assert sum(weights.values()) == pytest.approx(1)
    assert f"learning_rate {weights['learning_rate']:.0%}" in page(study)


def test_the_picture_is_drawn_of_one_trial_and_of_many(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = search(url, monkeypatch, [0.2, 0.2])
    sizes = []
    for _ in range(2):
        picture = cv2.imdecode(np.frombuffer(search_picture(study), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.std() > 5
        sizes.append(picture.shape)
        for _ in range(5):
            try_once(study, monkeypatch, 0.3, 0.1)
    assert sizes[0] == sizes[1]


def test_a_search_without_a_complete_trial_has_no_page(url: str) -> None:
    study = open_study(url, "study")
    with pytest.raises(TrainingError, match="No trial of the study study was completed"):
        page(study)
