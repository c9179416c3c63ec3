"""From samples to a file that serves, with every number that belongs to it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from parking.detection.contract import BayCalibration, CountCalibration, PlaceCalibration
from parking.detection.detector import Detector
from parking.learning.crossval import CrossValidation
from parking.learning.evaluate import evaluate_model, score
from parking.learning.known_scenes import known_scenes
from parking.learning.plots import release_plots, scene_sheet
from parking.learning.release import Release, _mean_scores, build_version
from parking.learning.rules import draft_contract
from tests.parking.learning.scenes import TINY, make_samples

pytestmark = pytest.mark.e2e

SAMPLES = make_samples(8)
RECIPE = TINY.model_copy(update={"steps": 6})


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release")


@pytest.fixture(scope="module")
def release(workdir: Path) -> Release:
    return build_version(RECIPE, SAMPLES[:6], SAMPLES[6:], folds=2, dataset_version="0123456789ab", workdir=workdir)


def test_the_file_serves_and_declares_what_it_was_made_of(release: Release) -> None:
    detector = Detector.load(release.model)
    assert detector.contract == release.contract
    assert release.contract.dataset_version == "0123456789ab"
    assert release.contract.gsd == RECIPE.gsd
    assert release.contract.maps == RECIPE.maps
    assert set(release.contract.scores) >= {"fold_iou", "fold_f1_50", "fold_count_bias"}


def test_the_file_says_which_scenes_it_learnt_from(release: Release) -> None:
    said = Detector.load(release.model).contract.learnt_from
    assert said is not None
    assert known_scenes(said, SAMPLES) == {sample.scene.sha256 for sample in SAMPLES[:6]}


def test_test_scores_are_those_of_the_exported_file(release: Release) -> None:
    scores, _ = evaluate_model(Detector.load(release.model), SAMPLES[6:])
    assert release.test_scores == scores
    assert [counts.image for counts in release.test_counts] == [s.scene.sha256 for s in SAMPLES[6:]]


def test_the_threshold_comes_from_out_of_fold_predictions(release: Release) -> None:
    assert sorted(prediction.name for prediction in release.predictions) == [s.name for s in SAMPLES[:6]]
    assert len(release.fold_scores) == 2
    assert 0 < release.threshold < 1
    assert release.threshold == release.contract.threshold


def test_a_version_can_be_built_without_test_scenes_and_goes_on_from_its_checkpoints(
    release: Release, workdir: Path
) -> None:
    said: list[str] = []
    again = build_version(
        RECIPE,
        SAMPLES[:6],
        (),
        folds=2,
        dataset_version="0123456789ab",
        workdir=workdir,
        progress=lambda done, total, what: said.append(what),
    )
    assert said == []
    assert again.test_scores.scenes == 0
    assert again.fold_scores == release.fold_scores
    assert scene_sheet(again) == "There are no test scenes."
    assert "loss.png" in release_plots(again)


def test_plots_are_pictures_of_the_scenes_and_the_curves(release: Release) -> None:
    plots = release_plots(release)
    assert set(plots) == {"loss.png", "precision-recall.png", "scenes-best.png", "scenes-worst.png"}
    for png in plots.values():
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert np.ptp(picture) > 50


def test_the_sheet_lists_every_test_scene(release: Release) -> None:
    text = scene_sheet(release)
    assert "| scene-6 |" in text
    assert "| scene-7 |" in text
    assert text.count("data:image/jpeg;base64,") == 2


def test_a_cross_validation_that_was_made_already_is_used(release: Release, tmp_path: Path) -> None:
    made = CrossValidation(release.fold_scores, (release.predictions,), (release.contract,), release.contract)
    said: list[str] = []
    built = build_version(
        RECIPE.model_copy(update={"steps": 1}),
        SAMPLES[:6],
        (),
        folds=2,
        dataset_version="0123456789ab",
        workdir=tmp_path,
        progress=lambda done, total, what: said.append(what),
        cross_validation=made,
    )
    assert not any("fold" in what for what in said)
    assert built.threshold == release.threshold


def test_scores_of_folds_are_not_those_of_scenes_they_learnt_from(release: Release) -> None:
    pooled = score(release.predictions, release.contract)
    assert pooled.scenes == 6


def test_the_contract_is_what_the_folds_chose_with_what_the_network_answers(release: Release, tmp_path: Path) -> None:
    draft = draft_contract(RECIPE)
    assert draft.bays is not None
    chosen = draft.model_copy(
        update={
            "threshold": 0.375,
            "bays": draft.bays.model_copy(update={"core_threshold": 0.2, "least_mean": 0.7}),
            "vehicle_length_m": 4.321,
            "known_bays": BayCalibration(vehicle=0.5, free=-0.25, offset=0.1),
            "place": PlaceCalibration(slope=1.5, offset=-0.5),
            "count": CountCalibration(ratio=1.25, dispersion=3.0),
        }
    )
    made = CrossValidation(release.fold_scores, (release.predictions,), (chosen,), chosen)
    again = build_version(
        RECIPE, SAMPLES[:6], (), folds=2, dataset_version="0123456789ab", workdir=tmp_path, cross_validation=made
    )
    measured = {"golden_tile", "golden_grid", "scores", "learnt_from", "dataset_version"}
    assert again.contract.model_dump(exclude=measured) == chosen.model_dump(exclude=measured)
    assert again.contract.golden_tile
    assert Detector.load(again.model).contract == again.contract


def test_scores_that_some_folds_could_not_measure_are_means_of_the_rest(release: Release) -> None:
    first, second = release.fold_scores
    assert first.vehicle_f1_50 is None
    half = (first.model_copy(update={"vehicle_f1_50": 0.5, "bay_ece": 0.2}), second.model_copy(update={"bay_ece": 0.4}))
    means = _mean_scores(half)
    assert means["fold_vehicle_f1_50"] == 0.5
    assert means["fold_bay_ece"] == pytest.approx(0.3)
    assert "fold_bay_accuracy" not in means
    assert "fold_scenes" not in means
