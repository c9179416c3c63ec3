"""Free places, vehicles, bays and unknown ground of a scene, from its shapes; and the annotated classes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from parking.data.exports.annotation import Shape
from parking.data.polygons import Ring
from parking.data.snapshot import AnnotatedClass
from parking.data.vocabulary import Label

__all__ = ["places_of"]

TAKEN_SHARE = 0.15
"""Share of a bay under vehicles from which it is taken: outlines drawn by hand overlap neighbouring bays a little."""

HIDDEN_SHARE = 0.25
"""Share of a bay under ignored ground from which it is not used as a free place."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is known about parking in a scene.

    Attributes:
        free: free places.
        vehicles: vehicles.
        stalls: bays, free or taken.
        ignored: ground with unknown classes.
        annotated: classes that were looked for.
    """

    free: tuple[Ring, ...]
    vehicles: tuple[Ring, ...]
    stalls: tuple[Ring, ...]
    ignored: tuple[Ring, ...]
    annotated: tuple[AnnotatedClass, ...]


def places_of(shapes: Iterable[Shape], known: Collection[Label], refused: Collection[Label] = ()) -> Places:
    """Sort the shapes of a scene, and separate free bays from taken ones.

    Args:
        shapes: what was drawn, clipped to the image.
        known: labels that the whole export uses.
        refused: labels of shapes in this scene that could not be used.
    """
    drawn: dict[Label, list[Ring]] = {"free": [], "occupied": [], "stall": [], "vehicle": [], "ignore": []}
    for shape in shapes:
        drawn[shape.label].append(shape.ring)
    free = list(drawn["free"])
    if "vehicle" in known:
        taken = [*drawn["vehicle"], *drawn["occupied"], *drawn["free"]]
        free += free_stalls(drawn["stall"], taken, drawn["ignore"])
    tells_taken = bool({"occupied", "stall"} & set(known))
    stalls = [*drawn["stall"], *drawn["occupied"], *(drawn["free"] if tells_taken else ())]
    return Places(
        free=tuple(free),
        vehicles=tuple(drawn["vehicle"]),
        stalls=tuple(stalls),
        ignored=tuple(drawn["ignore"]),
        annotated=_annotated(drawn, set(known), set(refused)),
    )


def _annotated(drawn: dict[Label, list[Ring]], known: set[Label], refused: set[Label]) -> tuple[AnnotatedClass, ...]:
    """The classes that were annotated in this scene.

    Free places and vehicles are looked for in every image of an export that knows them. Bays are not: where no bay is
    drawn, they may not have been drawn yet, and nothing says where free ground is.
    """
    bays = bool(drawn["stall"] or drawn["occupied"])
    direct = bool(known & {"free", "occupied"}) or not known & {"vehicle", "stall"}
    lost = not drawn["free"] and bool({"free"} & refused)
    derived = bool(drawn["stall"]) and "vehicle" in known
    found: dict[AnnotatedClass, bool] = {
        "free": (direct and not lost) or derived,
        "vehicle": "vehicle" in known and not ("vehicle" in refused and not drawn["vehicle"]),
        "stall": bays,
    }
    return tuple(name for name, there in found.items() if there)


def free_stalls(stalls: list[Ring], taken: list[Ring], hidden: list[Ring]) -> list[Ring]:
    """Bays with less than `TAKEN_SHARE` under the first outlines, and less than `HIDDEN_SHARE` under the second."""
    if not stalls:
        return []
    free = (_covered(stalls, taken) < TAKEN_SHARE) & (_covered(stalls, hidden) < HIDDEN_SHARE)
    return [ring for ring, is_free in zip(stalls, free.tolist(), strict=True) if is_free]


def _covered(rings: list[Ring], by: list[Ring]) -> NDArray[np.float64]:
    """The share of each outline that lies under any of the others."""
    own = _polygons(rings)
    if not by:
        return np.zeros(len(rings))
    under = shapely.area(shapely.intersection(own, shapely.union_all(_polygons(by))))
    return np.asarray(under / shapely.area(own), np.float64)


def _polygons(rings: list[Ring]) -> NDArray[np.object_]:
    return np.asarray(shapely.make_valid([shapely.Polygon(ring) for ring in rings]))
