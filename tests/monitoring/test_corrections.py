"""Corrections: scored against what was answered, kept with who and when, and turned into scenes to train on."""

import datetime as dt
import json
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.answers import Answer, AnsweredSpot, forget_answers, keep_answer, make_answer_id, read_answers
from monitoring.corrections import SCENES, Correction, Feedback, has_scenes, read_feedback, take_correction
from monitoring.drift import Finding
from monitoring.nightly import with_feedback
from monitoring.performance import performance_of
from parking.data.dataset import ingest
from parking.data.imagery import encode_png
from parking.errors import AmbiguousAnswerError, CorrectionError, UnknownAnswerError
from parking.settings import Settings
from parking.storage import FolderStore
from tests.monitoring.rows import NOON

LEFT = ((10.0, 10.0), (20.0, 10.0), (20.0, 30.0), (10.0, 30.0))
RIGHT = ((40.0, 10.0), (50.0, 10.0), (50.0, 30.0), (40.0, 30.0))
THIRD = ((60.0, 10.0), (70.0, 10.0), (70.0, 30.0), (60.0, 30.0))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def answer(request_id: str = "a", **changes: Any) -> Answer:
    """Two places, of which people may say what they like."""
    spots = tuple(AnsweredSpot(ring=ring, confidence=0.7) for ring in (LEFT, RIGHT))
    made = Answer(request_id=request_id, time=NOON, model_version="1", width=80, height=60, spots=spots)
    return made.model_copy(update=changes)


def picture(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8))


def correct(store: FolderStore, request_id: str = "a", later: float = 1.0, **said: Any) -> Feedback:
    correction = Correction.model_validate({"request_id": request_id, **said})
    return take_correction(store, correction, days=7, now=NOON + dt.timedelta(hours=later))


def test_an_answer_that_is_right_scores_in_full(store: FolderStore) -> None:
    keep_answer(store, answer())
    found = correct(store, right=True, by="Ada")
    assert (found.iou, found.f1, found.count_error) == (1, 1, 0)
    assert (found.by, found.time, found.scene) == ("Ada", NOON + dt.timedelta(hours=1), "")
    assert list(read_feedback(store, NOON.date())) == [found]


def test_a_place_removed_and_one_added_are_one_wrong_and_one_missed(store: FolderStore) -> None:
    keep_answer(store, answer())
    found = correct(store, removed=[1], added=[THIRD])
    assert found.rings == (LEFT, THIRD)
    assert found.iou == pytest.approx(1 / 3)
    assert (found.f1, found.places) == (0.5, (1, 1, 1))
    assert found.count_error == 0


def test_all_places_may_be_wrong(store: FolderStore) -> None:
    keep_answer(store, answer())
    found = correct(store, removed=[0, 1])
    assert (found.iou, found.f1, found.count_error) == (0, 0, 2)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "says nothing"),
        ({"right": True, "removed": [0]}, "says that the answer is right, and yet changes it"),
        ({"removed": [2]}, "Place 2 cannot be removed: the answer has 2 places"),
        ({"added": [[[100, 100], [110, 100], [110, 120]]]}, "Added polygon 0 has no area inside the image of 80 x 60"),
    ],
)
def test_a_correction_that_does_not_fit_is_refused_and_leaves_nothing(
    store: FolderStore, said: dict[str, Any], told: str
) -> None:
    keep_answer(store, answer(), picture(1))
    with pytest.raises(CorrectionError, match=told):
        correct(store, **said)
    assert list(store.keys("feedback/")) == []


def test_a_polygon_that_leaves_the_image_is_cut_at_its_edge(store: FolderStore) -> None:
    keep_answer(store, answer())
    found = correct(store, added=[[[70, 40], [100, 40], [100, 50], [70, 50]]])
    assert max(x for x, _ in found.rings[2]) == 80


@pytest.mark.parametrize("later", [24 * 7 + 1, 24 * 400])
def test_an_answer_expires(store: FolderStore, later: float) -> None:
    keep_answer(store, answer())
    with pytest.raises(UnknownAnswerError, match="'a' to correct: it was never given, or more than 7 days ago"):
        correct(store, later=later, right=True)
    assert correct(store, later=24 * 6.9, right=True)


def test_two_answers_to_requests_of_one_name_are_two(store: FolderStore) -> None:
    """The image, and the places, of the first are not those of the second."""
    ids = [make_answer_id("case-1", NOON) for _ in range(2)]
    for number, answer_id in enumerate(ids):
        keep_answer(store, answer("case-1", answer_id=answer_id, width=80 + number), picture(number))
    with pytest.raises(AmbiguousAnswerError, match=rf"2 answers .* 'case-1': .*{ids[0]}") as told:
        correct(store, "case-1", right=True)
    assert ids[1] in str(told.value)
    for number, answer_id in enumerate(ids):
        found = correct(store, "", answer_id=answer_id, right=True, later=1 + number)
        assert found.answer_id == answer_id
        assert store.read(found.scene) == picture(number)
    assert {said.answer_id for said in read_feedback(store, NOON.date())} == set(ids)


@pytest.mark.parametrize("name", ["case-1", "..", "-", "20260501", "x" * 140])
def test_one_answer_is_found_by_the_name_of_its_request(store: FolderStore, name: str) -> None:
    made = answer(name, answer_id=make_answer_id(name, NOON))
    keep_answer(store, made)
    keep_answer(store, answer("other", answer_id=make_answer_id("other", NOON)))
    assert correct(store, name, right=True).answer_id == made.answer_id
    assert not any(key.endswith(f"/{name}.json") for key in store.keys("answers/"))


def test_a_name_of_yesterday_counts_as_long_as_its_answer_is_kept(store: FolderStore) -> None:
    for days in (0, 1, 30):
        time = NOON - dt.timedelta(days=days)
        keep_answer(store, answer("again", answer_id=make_answer_id("again", time), time=time))
    with pytest.raises(AmbiguousAnswerError, match="2 answers"):
        correct(store, "again", right=True)


def test_an_id_and_a_name_that_do_not_belong_together_name_nothing(store: FolderStore) -> None:
    made = answer("a", answer_id=make_answer_id("a", NOON))
    keep_answer(store, made)
    with pytest.raises(UnknownAnswerError):
        correct(store, "b", answer_id=made.answer_id, right=True)
    with pytest.raises(UnknownAnswerError):
        correct(store, "", answer_id="99999999-00000000-0000000000000000", right=True)
    assert correct(store, "a", answer_id=made.answer_id, right=True)


def test_answers_and_corrections_of_an_older_version_are_still_read(store: FolderStore) -> None:
    """They were kept under the name of their request, and had no other."""
    old = answer("old-1").model_dump(mode="json", exclude={"answer_id"})
    store.write(f"answers/{NOON:%Y-%m-%d}/old-1.json", json.dumps(old).encode())
    found = correct(store, "old-1", right=True)
    assert (found.answer_id, found.request_id) == ("old-1", "old-1")
    (key,) = store.keys("feedback/records/")
    record = json.loads(store.read(key))
    del record["answer_id"]
    store.write(key, json.dumps(record).encode())
    assert [said.answer_id for said in read_feedback(store, NOON.date())] == ["old-1"]


def test_an_answer_that_was_never_given_is_unknown(store: FolderStore) -> None:
    with pytest.raises(UnknownAnswerError, match="'b'"):
        correct(store, "b", right=True)


def test_answers_that_waited_long_enough_are_forgotten_with_their_images(store: FolderStore) -> None:
    keep_answer(store, answer("old", time=NOON - dt.timedelta(days=9)), picture(1))
    keep_answer(store, answer("new"), picture(2))
    assert forget_answers(store, days=7, today=NOON.date()) == 2
    assert [kept.request_id for kept in read_answers(store)] == ["new"]


def test_the_latest_word_on_a_request_counts_and_none_is_lost(store: FolderStore) -> None:
    keep_answer(store, answer())
    correct(store, right=True, by="Ada")
    second = correct(store, later=2, removed=[0], by="Bob")
    assert list(read_feedback(store, NOON.date())) == [second]
    assert len(list(store.keys("feedback/records/"))) == 2


def test_where_images_are_kept_a_correction_is_a_scene_for_the_next_ingest(store: FolderStore, tmp_path: Path) -> None:
    for number in range(6):
        keep_answer(store, answer(f"r{number}"), picture(number))
        correct(store, f"r{number}", removed=[1], added=[THIRD], by="Ada")
    correct(store, "r5", removed=[0, 1], later=2)
    assert has_scenes(store)
    snapshot = ingest(f"{store.url}/{SCENES}", store).snapshot
    assert len(snapshot.scenes) == 6
    assert snapshot.quarantine == ()
    assert sorted(len(scene.rings) for scene in snapshot.scenes) == [0, 2, 2, 2, 2, 2]
    assert {scene.annotator for scene in snapshot.scenes} == {"coco:feedback:Ada", "coco:feedback"}


def test_scenes_of_corrections_join_those_of_another_source(store: FolderStore, tmp_path: Path) -> None:
    for number in range(6):
        keep_answer(store, answer(f"r{number}"), picture(number))
        correct(store, f"r{number}", right=True)
    elsewhere = FolderStore(tmp_path / "elsewhere")
    for number in range(10, 16):
        keep_answer(elsewhere, answer(f"r{number}"), picture(number))
        correct(elsewhere, f"r{number}", right=True)
    joined = ingest(f"{elsewhere.url}/{SCENES}", store, also=[f"{store.url}/{SCENES}"])
    assert len(joined.snapshot.scenes) == joined.copied == 12


def test_without_its_image_a_correction_is_scored_and_teaches_nothing(store: FolderStore) -> None:
    keep_answer(store, answer())
    correct(store, removed=[0])
    assert not has_scenes(store)


def test_performance_is_of_one_version_and_of_thirty_days(store: FolderStore) -> None:
    month_ago = NOON - dt.timedelta(days=30)
    for kept in (answer("a"), answer("b"), answer("c", model_version="2"), answer("d", time=month_ago)):
        keep_answer(store, kept)
    said = [correct(store, "a", right=True), correct(store, "b", removed=[1]), correct(store, "c", removed=[0, 1])]
    said.append(said[0].model_copy(update={"asked": month_ago}))
    found = performance_of(said, "1", NOON.date())
    assert found is not None
    assert (found.corrected, found.right, found.count_error) == (2, 1, 0.5)
    assert found.iou == pytest.approx(3 / 4)
    assert found.f1 == pytest.approx(6 / 7)
    assert performance_of(said, "3", NOON.date()) is None


def test_performance_below_the_floor_is_drift_whatever_the_images_look_like(store: FolderStore) -> None:
    keep_answer(store, answer())
    found = performance_of([correct(store, removed=[0, 1])], "1", NOON.date())
    assert found is not None
    many = found.model_copy(update={"corrected": 20})
    calm, floor = Finding("ok", "All is well."), Settings(_env_file=None, feedback_floor=0.5)
    assert with_feedback(calm, many, floor).verdict == "drift"
    assert "F1 0.00, below the floor of 0.5" in with_feedback(calm, many, floor).reason
    assert with_feedback(calm, found, floor).verdict == "ok", "one angry person is no evidence"
    assert with_feedback(calm, many, Settings(_env_file=None)).verdict == "ok"
    assert with_feedback(calm, None, floor) == changed(calm)
