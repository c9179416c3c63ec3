"""The size of a bay, from outlines of single places and of whole rows."""

import numpy as np
import pytest
from shapely import affinity
from shapely.geometry import Polygon

from parking.data.polygons import Ring
from parking.learning.bay_size import BaySize, estimate_bay, spot_rules
from parking.learning.recipe import Recipe
from tests.parking.learning.scenes import box, make_sample

RECIPE = Recipe(gsd=0.1)


def turned(ring: Ring, degrees: float) -> Ring:
    return tuple(affinity.rotate(Polygon(ring), degrees).exterior.coords[:-1])


def test_single_places_give_their_median_sides_at_any_angle() -> None:
    rings = tuple(turned(box(20, 20, 24, 48), angle) for angle in np.linspace(0, 170, 12))
    bay = estimate_bay([make_sample(0, rings=rings)], RECIPE)
    assert bay.width == pytest.approx(2.4, rel=0.02)
    assert bay.length == pytest.approx(4.8, rel=0.02)


def test_rows_drawn_as_one_outline_do_not_count() -> None:
    bays = (box(0, 0, 24, 48),) * 10
    kerbs, rows = (box(0, 0, 24, 190),) * 6, (box(0, 0, 96, 48),) * 6
    bay = estimate_bay([make_sample(0, rings=bays + kerbs + rows)], RECIPE)
    assert (bay.width, bay.length) == (2.4, 4.8)


def test_too_few_outlines_give_the_usual_size() -> None:
    assert estimate_bay([make_sample(0, rings=(box(0, 0, 9, 20),) * 3)], RECIPE) == BaySize(2.5, 5.0)
    assert estimate_bay([], RECIPE) == BaySize(2.5, 5.0)


def test_rules_are_in_pixels() -> None:
    rules = spot_rules(RECIPE, BaySize(2.4, 4.8), 0.4)
    assert (rules.bay_width_px, rules.bay_length_px) == pytest.approx((24, 48))
    assert rules.min_area_px == pytest.approx(400)
    assert rules.threshold == 0.4
