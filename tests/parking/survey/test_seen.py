"""How much of a district the imagery shows, from cells of a hectare."""

import numpy as np
import pytest
import shapely

from parking.detection.contract import CountCalibration
from parking.survey.districts import DistrictCounter, summarise
from parking.survey.grid import grid_at
from parking.survey.outputs import seen_shares
from parking.survey.records import cells_of

GRID = grid_at("EPSG:2154", 0.2)
WEST, NORTH = 652_030.0, 6_862_070.0
"""Where imagery of 500 by 600 m begins: within a cell."""


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 500, 600), 1.0),
        ((-20, 0, 250, 200), 250 / 270),
        ((250, 400, 500, 630), 200 / 230),
        ((100, 100, 250, 200), 1.0),
        ((-800, 0, -200, 600), 0.0),
    ],
)
def test_a_district_of_few_hectares_is_told_its_share(box: tuple[int, int, int, int], share: float) -> None:
    left, top, right, bottom = box
    shape = shapely.box(WEST + left, NORTH - bottom, WEST + right, NORTH - top)
    cells = cells_of(np.ones((3000, 2500), bool), round(WEST / 0.2), round(-NORTH / 0.2), GRID)
    assert seen_shares(np.array([shape], object), cells, GRID)[0] == pytest.approx(share, abs=0.03)


def test_neighbours_share_a_cell_that_the_imagery_fills_in_part() -> None:
    cells = cells_of(np.ones((3000, 2500), bool), round(WEST / 0.2), round(-NORTH / 0.2), GRID)
    halves = [shapely.box(WEST, NORTH - south, WEST + 500, NORTH - south + 300) for south in (300, 600)]
    assert seen_shares(np.array(halves, object), cells, GRID) == pytest.approx([1, 1], abs=0.03)


def test_a_shape_smaller_than_a_cell_has_no_share() -> None:
    shape = shapely.box(WEST, NORTH - 50, WEST + 50, NORTH)
    assert np.isnan(seen_shares(np.array([shape], object), {(0, 0): 1}, GRID)[0])


@pytest.mark.parametrize(("seen", "per_hectare"), [(1.0, 2.0), (0.5, 4.0), (np.nan, 2.0), (0.0, 0.0)])
def test_places_per_hectare_are_those_of_the_ground_that_the_imagery_shows(seen: float, per_hectare: float) -> None:
    counter = DistrictCounter(["Centre"], np.array([shapely.box(WEST, NORTH - 500, WEST + 500, NORTH)], object))
    found = 50 if seen else 0
    counter.add(np.zeros(found, np.int64), np.ones(found, bool))
    (row,) = summarise(counter, GRID, np.array([seen]), CountCalibration(), knows_vehicles=False)
    assert row.area_ha == pytest.approx(25, rel=0.01)
    assert row.free_per_ha == pytest.approx(per_hectare, rel=0.01)
