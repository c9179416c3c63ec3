"""Surveys for tests: without a cluster, block by block; or whole, with all their files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from distributed import LocalCluster

from parking.detection.detector import Detector
from parking.survey.blocks import Found, survey_block
from parking.survey.plan import Plan, make_frame, make_layers, make_plan
from parking.survey.request import SurveyRequest
from parking.survey.run import run_survey
from parking.survey.sources import find_sources
from tests.doubles import write_colour_model
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, write

MARGIN = 60
"""Pixels: more than a drawn bay is long, and less work than the margin for lorries."""


@dataclass(frozen=True)
class Surveyed:
    plan: Plan
    places: list[Found]
    pixels: int

    @property
    def positions(self) -> list[tuple[float, float]]:
        """Where the places are in the CRS, to a hundredth of a metre, in order."""
        step, grid = self.plan.grid.step, self.plan.grid
        return sorted(
            (round(grid.x + x * step, 2), round(grid.y - y * step, 2)) for x, y in (one.point for one in self.places)
        )

    @property
    def areas(self) -> list[float]:
        return sorted(one.polygon.area * self.plan.grid.gsd**2 for one in self.places)


def survey(detector: Detector, *places: Path, block: int = 300, margin: int = MARGIN) -> Surveyed:
    sources = find_sources([str(place) for place in places], detector.contract.gsd)
    frame = make_frame(sources, detector.contract.gsd)
    plan = make_plan(frame.grid, make_layers(sources, {}), detector.contract, block, None)
    plan = replace(plan, tiling=plan.tiling.model_copy(update={"margin": margin}))
    found, pixels = list[Found](), 0
    for one in plan.blocks:
        content = survey_block(detector, plan.there(one), plan.grid, plan.tiling, one, None)
        found += content.places
        pixels += int(np.count_nonzero(content.valid))
    return Surveyed(plan, found, pixels)


@contextmanager
def threads_cluster() -> Iterator[str]:
    """The address of a scheduler with two threads of this process."""
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def layer(path: Path, boxes: Mapping[str, tuple[float, float]], column: str = "name") -> Path:
    """Districts in the mosaic's CRS, as strips from north to south, by the metres from its west that they reach."""
    shapes = [shapely.box(WEST + a, NORTH - 100, WEST + b, NORTH) for a, b in boxes.values()]
    names = np.array([*boxes], object)
    wkb = np.array(shapely.to_wkb(shapes), object)
    pyogrio.raw.write(path, wkb, [names], [column], geometry_type="Polygon", crs=LAMBERT, driver="GPKG")
    return path


FREE = ((40, 40), (40, 100))
"""Row and column where the free bays of the car park begin, both in the district West."""
TAKEN = ((120, 70), (40, 190), (40, 240), (120, 190), (120, 240))
"""Those of the vehicles, the first in the West, the others in the East."""


def draw_car_park(folder: Path) -> tuple[Path, Path]:
    """A drawn car park of 45 x 30 m, and a layer of two districts."""
    pixels = np.full((200, 300, 3), 10, np.uint8)
    for places, band in ((FREE, 0), (TAKEN, 1)):
        for row, column in places:
            pixels[row : row + 33, column : column + 17, band] = 250
            pixels[row + 5 : row + 28, column + 4 : column + 13, 2] = 250
    lot = write(folder / "lot.tif", pixels, tags={"ACQUISITIONDATETIME": "2024:05:01 10:00:00"})
    return lot, layer(folder / "districts.gpkg", {"West": (0, 24), "East": (24, 50)})


def survey_car_park(folder: Path, out: Path) -> dict[str, Any]:
    """A whole survey of the car park; `lot.tif` and the layer go into the folder."""
    lot, districts = draw_car_park(folder)
    asked = SurveyRequest(sources=(str(lot),), out=str(out), districts=str(districts), block=200)
    with threads_cluster() as dask:
        return run_survey(asked, write_colour_model(folder / "colour.onnx", gsd=GSD), dask=dask)
