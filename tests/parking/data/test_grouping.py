"""Images of one place share a group: by what their names say, by a pattern, by chains of pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.data.grouping import connected, places_by_name, same
from parking.errors import DatasetError

LOTS = [
    f"{split}/{lot}_r{n}_c{n % 2}.jpg"
    for lot in ("Burnaby", "Mission", "Old_Town", "West")
    for n in (0, 1)
    for split in "ab"
]
FRAMES = [
    *("MOS74.jpg", "MunichStreet02-MOS93.jpg", "MOS155.jpg", "MOS179.jpg"),
    *("DJI-00760-00001.jpg", "DJI-00760-00039.jpg", "DJI_0005-0018.jpg", "DJI_0013-0041.jpg", "street.png"),
]


def sizes(keys: list[str], pattern: str = "") -> list[int]:
    roots = connected(len(keys), same(places_by_name(keys, pattern)))
    return sorted(map(roots.count, set(roots)))


def test_tiles_of_a_lot_and_frames_of_a_flight_belong_together() -> None:
    assert sizes(LOTS) == [4, 4, 4, 4]
    assert sizes(FRAMES) == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("name", ["image_yn_{}", "photo-{}", "IMG_{}", "2024_05_{}", "{}", "scene{}", "abcdef12-{}"])
def test_names_that_only_count_say_nothing_of_places(name: str) -> None:
    assert places_by_name([f"{name.format(n)}.png" for n in range(30)]) == [None] * 30


def test_tiles_of_a_single_mosaic_can_still_be_split() -> None:
    assert sizes([f"city_r{n}_c0.tif" for n in range(9)]) == [1] * 9
    assert sizes([f"city_r{n}_c0.tif" for n in range(9)], r"(city)") == [9]


def test_a_pattern_is_searched_for_in_the_path_without_its_extension() -> None:
    assert sizes(["lyon/1.png", "lyon/2.png", "paris/1.png"], r"^([^/]+)/") == [1, 2]
    assert sizes(["a-1.x.png", "b-1.x.png", "c.png"], r"\d\.x$") == [1, 2]


@pytest.mark.parametrize(("pattern", "sentence"), [("(", "is no regular expression"), ("zzz", "is found in no name")])
def test_a_pattern_that_cannot_be_meant_is_a_sentence(pattern: str, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        places_by_name(FRAMES, pattern)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_whoever_is_joined_has_the_smallest_number_of_all(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = drawn
    roots = connected(count, pairs)
    assert all(roots[one] == roots[other] for one, other in pairs)
    assert all(root <= number and roots[root] == root for number, root in enumerate(roots))
    assert len(set(roots)) >= count - len(set(pairs))
