"""Free places and vehicles out of the maps of a model that sees cores; see `parking.detection.instances`."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from parking.detection.confidence import confidence_of, log_odds, mean_within
from parking.detection.contract import AS_PREDICTED, Contract, InstanceRules, MapName, PlaceCalibration
from parking.detection.instances import CoreRules, Rectangle, corners_of, find_rectangles
from parking.detection.polygonize import polygons
from parking.detection.spots import Kind, Spot, never_stop

__all__ = ["Maps", "bay_rules", "find_outlines", "find_places", "find_vehicles"]

Maps = Mapping[MapName, NDArray[np.float32]]
"""(H, W) each, in [0, 1]."""

KERB_PLACE_M = 5.6
"""Length of a place along a kerb where nothing marks it."""

KERB_ROW_M = 1.5 * KERB_PLACE_M
"""Length from which a free stretch of kerb is several places."""

KERB_WIDTH_M = 3.4
"""Width above which a free stretch is no kerb."""

STOUTEST_VEHICLE = 1.4
"""Length over width below which an outline is a skylight or a chimney, and no vehicle."""

_OVERLAP = 0.35
"""Share of the smaller of two outlines that may lie in the other; of two with more the surer one is kept."""

_NEIGHBOUR = 1.2
"""Distance of two centres, in lengths of an outline, within which they stand in one row."""

_PARALLEL = math.radians(12)
"""Largest angle between neighbours that are meant to be parallel."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One bay or vehicle before it has a confidence."""

    rectangle: Rectangle
    mean: float
    """Mean probability of its class inside."""

    kind: Kind = "bay"


def find_places(
    maps: Maps,
    contract: Contract,
    gsd: float,
    *,
    threshold: float | None = None,
    check: Callable[[], None] = never_stop,
) -> tuple[Spot, ...]:
    """Single free places.

    Args:
        maps: of the model, at the contract's ground resolution.
        contract: its rules, with `bays`.
        gsd: metres per pixel of the maps, for the areas, the least one too.
        threshold: instead of the contract's: larger gives fewer and surer places.
        check: called for every core; what it raises ends the work.

    Returns:
        Places from the top of the image downwards; outlines lie inside the image.
    """
    rules = bay_rules(contract, threshold)
    found = find_outlines(maps["free_core"], maps["probability"], rules, gsd, check)
    found = [part for one in found for part in cut_row(one, gsd)]
    return _spots(found, maps["probability"], contract.place, gsd)


def bay_rules(contract: Contract, threshold: float | None) -> InstanceRules:
    """What counts as a bay, with another threshold than the contract's where one is given."""
    if contract.bays is None:
        raise ValueError("The contract has no rules for bays.")
    rules = stricter(contract.bays, log_odds(threshold) - log_odds(contract.threshold)) if threshold else contract.bays
    return rules.model_copy(update={"min_area_m2": contract.min_area_m2})


def stricter(rules: InstanceRules, by: float) -> InstanceRules:
    """Rules whose probabilities are moved by some log-odds: above 0 for fewer and surer outlines."""

    def moved(probability: float) -> float:
        return 1 / (1 + math.exp(-log_odds(probability) - by))

    core, mean = moved(rules.core_threshold), moved(rules.least_mean)
    return rules.model_copy(update={"core_threshold": core, "least_mean": mean})


def find_vehicles(
    maps: Maps, contract: Contract, gsd: float, *, check: Callable[[], None] = never_stop
) -> tuple[Spot, ...]:
    """Vehicles; none where the model sees none. Arguments as of `find_places`."""
    if contract.vehicles is None:
        return ()
    found = find_outlines(maps["vehicle_core"], maps["vehicle"], contract.vehicles, gsd, check)
    found = [one for one in found if one.rectangle.length > STOUTEST_VEHICLE * one.rectangle.width]
    return _spots(found, maps["vehicle"], AS_PREDICTED, gsd)


def find_outlines(
    core: NDArray[np.float32],
    ground: NDArray[np.float32],
    rules: InstanceRules,
    gsd: float,
    check: Callable[[], None] = never_stop,
) -> list[Outline]:
    """The outlines of one class, at the ground resolution of its maps.

    Args:
        core: (H, W), the chance that a pixel belongs to a core.
        ground: (H, W), the chance that it belongs to the class.
        rules: what counts.
        gsd: metres per pixel of the maps.
        check: called for every core.
    """
    pixels = CoreRules(
        threshold=rules.core_threshold,
        inset=rules.inset,
        min_area_px=rules.min_area_m2 / gsd**2,
        usual_width_px=rules.usual_width_m / gsd,
    )
    rectangles = aligned(find_rectangles(core, pixels, check))
    rings = corners_of(rectangles)
    outlines = [Outline(one, mean_within(ring, ground)) for one, ring in zip(rectangles, rings, strict=True)]
    return without_overlaps([one for one in outlines if one.mean >= rules.least_mean])


def cut_row(outline: Outline, gsd: float) -> list[Outline]:
    """A free stretch of kerb without marks, cut at the usual length of a place; a single place as it is."""
    one = outline.rectangle
    if one.length * gsd < KERB_ROW_M or one.width * gsd > KERB_WIDTH_M:
        return [outline]
    count = max(2, round(one.length * gsd / KERB_PLACE_M))
    along = np.array([np.cos(one.angle), np.sin(one.angle)]) * one.length / count
    steps = np.arange(count) - (count - 1) / 2
    return [
        replace(
            outline,
            kind="kerb",
            rectangle=replace(
                one, x=one.x + float(step * along[0]), y=one.y + float(step * along[1]), length=one.length / count
            ),
        )
        for step in steps
    ]


def aligned(rectangles: Sequence[Rectangle]) -> list[Rectangle]:
    """Rectangles turned to the direction that they share with their neighbours, as a row of bays is drawn."""
    if len(rectangles) < 2:
        return list(rectangles)
    centres = np.array([(one.x, one.y) for one in rectangles])
    lengths = np.array([one.length for one in rectangles])
    angles = np.array([one.angle for one in rectangles])
    which, near = STRtree(shapely.points(centres)).query(
        shapely.points(centres), "dwithin", distance=_NEIGHBOUR * lengths
    )
    # An outline is the same after half a turn: differences lie in a quarter turn each way.
    off = (angles[near] - angles[which] + math.pi / 2) % math.pi - math.pi / 2
    close = (np.abs(off) <= _PARALLEL) & (np.abs(np.log(lengths[near] / lengths[which])) < 0.5)
    which, off = which[close], off[close]
    # Each is close to itself, so that every one has a share; pairs come by the first of the two.
    shares = np.split(off, np.flatnonzero(np.diff(which)) + 1)
    return [replace(one, angle=one.angle + median(share)) for one, share in zip(rectangles, shares, strict=True)]


def without_overlaps(outlines: Sequence[Outline]) -> list[Outline]:
    """The outlines without those that lie too far in a surer one."""
    surest = sorted(outlines, key=lambda one: (-one.mean, one.rectangle.y, one.rectangle.x))
    if not surest:
        return []
    shapes = shapely.polygons(corners_of([one.rectangle for one in surest]))
    dropped: set[int] = set()
    pairs = STRtree(shapes).query(shapes, "intersects")
    for first, second in sorted(zip(*pairs.tolist(), strict=True)):
        if first < second and first not in dropped:
            common = shapes[first].intersection(shapes[second]).area
            if common > _OVERLAP * min(shapes[first].area, shapes[second].area):
                dropped.add(second)
    return [one for number, one in enumerate(surest) if number not in dropped]


def _spots(
    found: Sequence[Outline], ground: NDArray[np.float32], calibration: PlaceCalibration, gsd: float
) -> tuple[Spot, ...]:
    image = shapely.box(0, 0, ground.shape[1], ground.shape[0])
    shapes = shapely.intersection(shapely.polygons(corners_of([one.rectangle for one in found])), image)
    spots = [spot for one, shape in zip(found, shapes, strict=True) for spot in _spots_of(one, shape, calibration, gsd)]
    return tuple(sorted(spots, key=lambda spot: min((y, x) for x, y in spot.ring)))


def _spots_of(one: Outline, inside: BaseGeometry, calibration: PlaceCalibration, gsd: float) -> Iterator[Spot]:
    for shape in polygons(inside):
        ring = tuple((round(float(x), 2), round(float(y), 2)) for x, y in shape.exterior.coords[:-1])
        if len(set(ring)) >= 3:
            yield Spot(ring, round(confidence_of(one.mean, calibration), 4), round(shape.area * gsd**2, 2), one.kind)
