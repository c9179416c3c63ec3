"""Length of kerbs by district, for free places per kilometre."""

import numpy as np
import shapely
from numpy.typing import NDArray

from parking.survey.grid import Grid
from parking.survey.vectors import read_lines


def kerb_lengths(path: str, districts: NDArray[np.object_], grid: Grid) -> NDArray[np.float64]:
    """Kilometres on the ground of a layer's lines inside each district; of an OSM extract, of its streets.

    Args:
        path: of the layer, see `read_lines`.
        districts: in the survey's CRS.
        grid: of the survey.

    Raises:
        SurveyError: the layer cannot be read, or holds no line.
    """
    lines = read_lines(path, grid.crs).shapes
    district, line = shapely.STRtree(lines).query(districts, predicate="intersects")
    inside = shapely.intersection(lines[line], districts[district])
    middles = shapely.get_coordinates(shapely.centroid(inside))
    longitudes, latitudes = grid.to_wgs84().transform(middles[:, 0], middles[:, 1])
    metres = np.sqrt(grid.area_scale(np.asarray(longitudes), np.asarray(latitudes)))
    found = np.zeros(len(districts))
    np.add.at(found, district, shapely.length(inside) * metres / 1000)
    return found
