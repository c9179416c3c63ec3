"""A survey without a cluster: plan it, and run its blocks one after the other."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from parking.detection.detector import Detector
from parking.survey.blocks import Found, survey_block
from parking.survey.plan import Plan, make_frame, make_layers, make_plan
from parking.survey.sources import find_sources

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
