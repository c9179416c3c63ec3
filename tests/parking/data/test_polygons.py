import numpy as np
import pytest

from parking.data.dataset import free_mask
from parking.data.polygons import CrossingOutlineError, area, clip


def test_an_outline_inside_is_left_as_it_was_drawn() -> None:
    ring = ((10.25, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0))
    assert clip(ring, 100, 100) == [ring]


def test_what_lies_outside_is_cut_off() -> None:
    (ring,) = clip(((90, 10), (110, 10), (110, 30), (90, 30)), 100, 100)
    assert area(ring) == 200
    assert clip(((110, 10), (130, 10), (130, 30)), 100, 100) == []


@pytest.mark.parametrize("ring", [(), ((1, 1), (2, 2)), ((0, 0), (5, 5), (9, 9)), ((0, 0), (1, 0), (1, 1), (0, 1))])
def test_what_has_no_area_is_no_place(ring: tuple[tuple[float, float], ...]) -> None:
    assert clip(ring, 100, 100) == []


def test_of_a_figure_of_eight_nobody_can_tell_what_was_meant() -> None:
    with pytest.raises(CrossingOutlineError, match="crosses or touches itself"):
        clip(((0, 0), (20, 20), (20, 0), (0, 20)), 100, 100)


def test_a_slip_of_the_mouse_costs_the_slip_alone() -> None:
    square = ((0, 0), (50, 0), (50, 50), (0, 50), (0, 4))
    (ring,) = clip((*square, (-3, 1), (2, -2)), 100, 100)
    assert area(ring) == pytest.approx(2500, rel=0.02)


def test_an_outline_of_hundreds_of_points_is_not_untangled() -> None:
    points = np.random.default_rng(0).uniform(0, 500, (500, 2))
    with pytest.raises(CrossingOutlineError):
        clip(tuple((float(x), float(y)) for x, y in points), 500, 500)


def test_a_hole_that_was_drawn_round_stays_a_hole() -> None:
    # As flat lists of points tell it: in by a seam, round the hole, and out by the same seam.
    outer, inner = [(0, 0), (100, 0), (100, 100), (0, 100), (0, 0)], [(30, 30), (30, 70), (70, 70), (70, 30), (30, 30)]
    parts = clip((*outer, *inner), 100, 100)
    assert sum(map(area, parts)) == 100 * 100 - 40 * 40
    mask = free_mask(parts, 100, 100)
    assert mask.sum() == 100 * 100 - 40 * 40
    assert not mask[35:65, 35:65].any()


def test_a_pixel_is_free_where_its_middle_is() -> None:
    mask = free_mask([((1, 1), (3, 1), (3, 3), (1, 3)), ((3.6, 0), (5, 0), (5, 0.6), (3.6, 0.6))], 4, 5)
    expected = np.zeros((4, 5), bool)
    expected[1:3, 1:3] = True
    expected[0, 4] = True
    assert np.array_equal(mask, expected)
    assert not free_mask([], 3, 3).any()
