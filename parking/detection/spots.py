"""From a probability map to single free places: polygons with a confidence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from parking.data.annotations import Ring
from parking.detection.bays import cut_into_bays
from parking.detection.confidence import confidence_of, mean_inside
from parking.detection.contract import AS_PREDICTED, Contract, CutChooser, PlaceCalibration
from parking.detection.polygonize import free_shapes
from parking.detection.row_splitting import split_to_rows
from parking.detection.split_candidates import Surroundings, best_cut, cuts_of, surroundings

__all__ = ["Kind", "Spot", "find_spots", "never_stop", "rules_for", "stretch"]

RAGGED = 2000
"""Corners a megapixel from which a map holds no rows to look for; maps of a model that has learnt have some 150."""


Kind = Literal["bay", "kerb"]
"""`bay`: a place of its own; `kerb`: a part of a longer free stretch, cut at the usual length of a place."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One free parking place, or one vehicle."""

    ring: Ring
    """Its outline, x and y in pixels of the image with (0, 0) at the image's upper left corner, not closed."""

    confidence: float
    """In [0, 1]: of the places with 0.8, four in five lie mostly on free ground, as far as the model was measured."""

    area_m2: float
    """Its area in square metres."""

    kind: Kind = "bay"
    """See `Kind`."""


@dataclass(frozen=True, slots=True)
class SpotRules:
    """What counts as a place, in pixels of the probability map."""

    threshold: float
    """Probability from which a pixel is free."""

    min_area_px: float
    """Smallest place that is kept."""

    bay_width_px: float
    """Width of one bay."""

    bay_length_px: float
    """Length of one bay."""

    calibration: PlaceCalibration = AS_PREDICTED
    """How sure a place is, given the mean probability inside it."""

    cuts: CutChooser | None = None
    """Which cut of a shape is taken; without it, the one by the bay's size."""

    usual_size_px: float = 0.0
    """Root of the area of a usual place; of use to `cuts` alone."""


def rules_for(contract: Contract, gsd: float) -> SpotRules:
    """The contract's rules for a map of another ground resolution.

    Args:
        contract: of the model that made the map.
        gsd: metres per pixel of the map.
    """
    return SpotRules(
        threshold=contract.threshold,
        min_area_px=contract.min_area_m2 / gsd**2,
        bay_width_px=contract.bay_width_m / gsd,
        bay_length_px=contract.bay_length_m / gsd,
        calibration=contract.place,
        cuts=contract.cuts,
        usual_size_px=contract.cuts.usual_size_m / gsd if contract.cuts else 0.0,
    )


def never_stop() -> None:
    """A check that lets all work go on."""


def find_spots(
    probability: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    rules: SpotRules,
    gsd: float,
    *,
    size_px: float | None = None,
    check: Callable[[], None] = never_stop,
) -> tuple[Spot, ...]:
    """Single places in a probability map.

    Free pixels are gathered to connected shapes, shapes with corners that point inwards are split there, and each
    part is cut into bays by its size; where the rules can tell better cuts from worse, bays of several sizes are
    tried. Call it on a whole map, never on a tile: a place on a seam would be two.

    Args:
        probability: (H, W), in [0, 1].
        pixels: (H, W, 3) RGB, that the map is of.
        rules: what counts as a place.
        gsd: metres per pixel, for the areas.
        size_px: root of the area that places are expected to have in this image; the rules' where it is not known.
        check: called for every shape and every part of one; what it raises ends the work. A map of ragged specks,
            as a poor model makes it, takes many seconds a megapixel, and somebody may not want to wait.

    Returns:
        Places from the top of the image downwards; rings are simple, wound one way, and inside the image.
    """
    shapes, ragged = free_ground(probability, rules, check=check)
    if rules.cuts and not ragged:
        there = surroundings(probability, pixels, size_px or rules.usual_size_px)
        bays = list(_best_bays(shapes, there, rules.cuts, rules, check))
    else:
        bays = list(_bays(shapes, ragged, rules, check))
    spots = [_spot(bay, probability, rules.calibration, gsd) for bay in bays]
    return tuple(sorted(spots, key=lambda spot: min((y, x) for x, y in spot.ring)))


def stretch(spots: Sequence[Spot], across: float, down: float) -> tuple[Spot, ...]:
    """The same places in the pixels of another image of the same ground.

    Args:
        spots: in pixels of the one image.
        across: width of the other image in units of the one's.
        down: its height in units of the one's.
    """
    return tuple(
        replace(spot, ring=tuple((round(x * across, 2), round(y * down, 2)) for x, y in spot.ring)) for spot in spots
    )


def free_ground(
    probability: NDArray[np.float32], rules: SpotRules, *, check: Callable[[], None] = never_stop
) -> tuple[list[Polygon], bool]:
    """The free shapes that are large enough, and whether they are too ragged for rows to be looked for in them."""
    free = (probability >= rules.threshold).astype(np.uint8)
    shapes = []
    for shape in free_shapes(free, rules.bay_width_px, rules.bay_length_px):
        check()
        if shape.area >= rules.min_area_px:
            shapes.append(shape)
    corners = int(shapely.get_num_coordinates(shapes).sum())
    return shapes, corners > max(RAGGED, RAGGED * free.size / 1e6)


def _bays(shapes: Sequence[Polygon], ragged: bool, rules: SpotRules, check: Callable[[], None]) -> Iterator[Polygon]:
    width, length = rules.bay_width_px, rules.bay_length_px
    for shape in shapes:
        for row in [shape] if ragged else split_to_rows(shape, width, length, check):
            check()
            yield from (bay for bay in cut_into_bays(row, width, length) if bay.area >= rules.min_area_px)


def _best_bays(
    shapes: Sequence[Polygon],
    there: Surroundings,
    chooser: CutChooser,
    rules: SpotRules,
    check: Callable[[], None],
) -> Iterator[Polygon]:
    for shape in shapes:
        tried = cuts_of(shape, rules.bay_width_px, rules.bay_length_px, rules.min_area_px, check)
        yield from best_cut(tuple(tried), shape.area, there, chooser)


def _spot(bay: Polygon, probability: NDArray[np.float32], calibration: PlaceCalibration, gsd: float) -> Spot:
    ring = tuple((round(float(x), 2), round(float(y), 2)) for x, y in bay.exterior.coords[:-1])
    confidence = confidence_of(mean_inside(bay, probability), calibration)
    return Spot(ring, round(confidence, 4), round(bay.area * gsd**2, 2))
