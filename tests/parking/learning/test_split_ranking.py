"""What people draw decides how free shapes are cut."""

from dataclasses import replace

import numpy as np
import pytest

from parking.detection.split_candidates import chances
from parking.detection.spots import SpotRules
from parking.learning import split_ranking
from parking.learning.evaluate import ScenePrediction, found_rings
from parking.learning.split_ranking import Tried, learn_cuts, try_cuts
from tests.parking.learning.scenes import box, make_sample

GSD = 0.15
SIZE = float(np.sqrt(17 * 33))
RULES = SpotRules(0.5, min_area_px=50, bay_width_px=17, bay_length_px=33, usual_size_px=SIZE)


def row(number: int, places: int, drawn_as: int) -> ScenePrediction:
    """A row of free places seen as one shape, of which people drew so many together, and a size that says so."""
    width = 17 * places // drawn_as
    rings = tuple(box(20 + n * width, 30 + number, width, 33) for n in range(drawn_as))
    sample = make_sample(number, rings=rings, size=200)
    probability = np.where(sample.mask, 0.9, 0.05).astype(np.float16)
    return ScenePrediction(sample.name, probability, sample, float(np.sqrt(width * 33)))


SINGLES = [row(n, 8, 8) for n in range(6)]
ROWS = [row(n, 8, 1) for n in range(6)]


def test_singles_and_rows_are_told_apart_by_the_size_of_their_scene() -> None:
    chooser = learn_cuts([try_cuts(p, RULES) for p in SINGLES + ROWS], SIZE * GSD)
    assert chooser is not None
    assert chooser.weights.off < -1
    rules = replace(RULES, cuts=chooser)
    assert [len(found_rings(p, rules, GSD)) for p in (SINGLES[0], ROWS[0])] == [8, 1]


def test_the_limit_is_chosen_on_what_the_detector_will_keep() -> None:
    scenes = SINGLES + ROWS
    tried = [try_cuts(p, RULES) for p in scenes]
    chooser = learn_cuts(tried, SIZE * GSD)
    assert chooser is not None
    rules = replace(RULES, cuts=chooser)
    for scene, seen in zip(scenes, tried, strict=True):
        kept = split_ranking._kept(seen, chances(seen.cues, chooser), chooser.least)
        assert kept.sum() == len(found_rings(scene, rules, GSD))


def test_each_cut_is_compared_with_the_annotations_by_itself() -> None:
    seen = try_cuts(ROWS[0], RULES)
    right = {int(cut): int(seen.right[seen.cut == cut].sum()) for cut in np.unique(seen.cut)}
    assert max(right.values()) == 1
    assert right[0] == 0  # the smallest bays


def test_too_little_evidence_teaches_nothing() -> None:
    assert learn_cuts([], 4.0) is None
    assert learn_cuts([try_cuts(SINGLES[0], RULES)], 4.0) is None


def test_a_ragged_map_has_nothing_to_cut() -> None:
    sample = make_sample(0, size=200)
    noise = np.random.default_rng(0).random((600, 600)).astype(np.float16)
    ragged = replace(RULES, threshold=0.4, min_area_px=20, bay_width_px=8.0, bay_length_px=16.0)
    tried: Tried = try_cuts(ScenePrediction(sample.name, noise, sample), ragged)
    assert len(tried.right) == 0
    assert tried.true == 2


@pytest.mark.parametrize("limit", [0.05, 0.5])
def test_of_each_shape_one_cut_is_kept(limit: float) -> None:
    seen = try_cuts(SINGLES[0], RULES)
    kept = split_ranking._kept(seen, np.full(len(seen.right), 0.8), limit)
    assert len(np.unique(seen.cut[kept])) == 1
