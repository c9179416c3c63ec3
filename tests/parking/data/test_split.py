import hashlib
from collections import Counter

import pytest

from parking.data.snapshot import Scene
from parking.data.split import choose_test, make_folds
from parking.errors import DatasetError

PLACE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))


def scene(number: int, *, annotator: str = "a", places: int = 3, group: str = "") -> Scene:
    checksum = hashlib.sha256(str(number).encode()).hexdigest()
    return Scene(
        name=f"{number:04d}.png",
        image=checksum,
        sha256=checksum,
        width=10,
        height=10,
        annotator=annotator,
        group=group or checksum[:12],
        rings=(PLACE,) * places,
        split="train",
    )


MIXED = [scene(n, annotator="ab"[n % 2], places=(0, 3, 7, 15, 40)[n % 5]) for n in range(100)]


def test_a_fifth_of_every_stratum_tests() -> None:
    test = choose_test(MIXED, 0.2)
    assert len(test) == 20
    chosen = [one for one in MIXED if one.group in test]
    assert set(Counter((one.annotator, len(one.rings)) for one in chosen).values()) == {2}


def test_the_order_of_the_files_decides_nothing() -> None:
    assert choose_test(MIXED[::-1], 0.2) == choose_test(MIXED, 0.2)
    assert make_folds(MIXED[::-1], 5) == make_folds(MIXED, 5)


def test_the_names_of_the_files_decide_nothing() -> None:
    renamed = [one.model_copy(update={"name": f"{number * 7919 % 1000}.png"}) for number, one in enumerate(MIXED)]
    assert choose_test(renamed, 0.2) == choose_test(MIXED, 0.2)
    parts, before = ([{one.sha256 for one in fold.validation} for fold in make_folds(s, 5)] for s in (renamed, MIXED))
    assert parts == before


def test_most_test_scenes_stay_when_others_are_added() -> None:
    before = choose_test(MIXED, 0.2)
    more = [scene(n, annotator="ab"[n % 2], places=(0, 3, 7, 15, 40)[n % 5]) for n in range(100, 120)]
    after = choose_test([*MIXED, *more], 0.2)
    assert len(before & after) >= 16


def test_strata_too_small_for_a_share_still_give_their_part_together() -> None:
    lonely = [scene(n, annotator=f"person {n}") for n in range(10)]
    assert len(choose_test(lonely, 0.2)) == 2


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 1)])
def test_a_handful_of_scenes_keeps_some_to_learn_from(count: int, expected: int) -> None:
    assert len(choose_test(MIXED[:count], 0.2)) == expected


@pytest.mark.parametrize("trial", range(10))
def test_a_large_group_does_not_become_the_test(trial: int) -> None:
    first = 1000 * trial
    camera = [scene(n, group="camera") for n in range(first, first + 40)]
    single = [scene(n) for n in range(first + 40, first + 60)]
    test = choose_test([*camera, *single], 0.2)
    assert "camera" not in test
    assert len(test) == 12


def test_where_every_group_is_too_large_the_smallest_tests() -> None:
    scenes = [scene(n, group=f"group {n // 20}") for n in range(70)]
    assert choose_test(scenes, 0.1) == {"group 3"}
    assert choose_test(scenes[:20], 0.1) == frozenset()


def test_folds_part_the_scenes_and_mix_them_alike() -> None:
    folds = make_folds(MIXED, 5)
    validated = [one.name for fold in folds for one in fold.validation]
    assert sorted(validated) == [one.name for one in MIXED]
    for fold in folds:
        assert not {one.group for one in fold.train} & {one.group for one in fold.validation}
        assert len(fold.train) + len(fold.validation) == 100
        assert Counter(one.annotator for one in fold.validation) == {"a": 10, "b": 10}
        assert sum(len(one.rings) for one in fold.validation) == 4 * sum((0, 3, 7, 15, 40))


def test_near_duplicates_never_fall_on_two_sides() -> None:
    pairs = [scene(n, group=f"group {n // 2}") for n in range(20)]
    test = choose_test(pairs, 0.3)
    assert len(test) == 3
    for fold in make_folds(pairs, 4):
        assert not {one.group for one in fold.train} & {one.group for one in fold.validation}


def test_too_few_scenes_say_how_many_folds_fit() -> None:
    with pytest.raises(DatasetError, match=r"too small for 5 folds: the largest number that fits is 3"):
        make_folds(MIXED[:3], 5)
    with pytest.raises(DatasetError, match="no number from 2 fits"):
        make_folds(MIXED[:1], 2)
    with pytest.raises(DatasetError, match="at least 2 folds, not 1"):
        make_folds(MIXED, 1)
