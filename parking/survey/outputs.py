"""All files of a survey, made from its finished blocks in a folder of their own, then moved to their places."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from parking.detection.contract import Contract
from parking.detection.count import count_interval
from parking.errors import SurveyError
from parking.storage import Store
from parking.survey import districts as by_district
from parking.survey.bays import BayLayer, write_bays
from parking.survey.blocks import Block
from parking.survey.folder import SUMMARY, block_key, forget_other_blocks, publish, staging
from parking.survey.grid import Grid
from parking.survey.http import shown
from parking.survey.plan import Plan, union
from parking.survey.records import PLACE, VEHICLE, cell_step, decode
from parking.survey.remote import is_remote
from parking.survey.report import Density, district_features, report_page
from parking.survey.results import Gatherer, write_density, write_districts
from parking.survey.sources import Source
from parking.survey.stretch import Stretch
from parking.survey.style import DENSITY_STYLE, TAKEN_STYLE, VEHICLES_STYLE


@dataclass
class Finished:
    """Blocks of this survey that are kept, and those that failed."""

    names: dict[Block, str] = field(default_factory=dict)
    failed: list[dict[str, Any]] = field(default_factory=list)


def write_outputs(
    store: Store,
    plan: Plan,
    finished: Finished,
    area: shapely.Geometry | None,
    counter: by_district.DistrictCounter | None,
    bays: BayLayer | None,
    contract: Contract,
    about: dict[str, Any],
    begun: float,
) -> dict[str, Any]:
    """Write all files to a folder beside their places, then move them there.

    Args:
        store: of the survey.
        plan: its grid, layers and blocks.
        finished: the blocks that are kept, and those that failed.
        area: in the survey's CRS; places outside of it are left out.
        counter: of the districts, if there are any.
        bays: the known bays, if there are any.
        contract: of the model.
        about: what `survey.json` says beside the results.
        begun: `time.monotonic()` at the start of the run.

    Returns:
        What `survey.json` says.

    Raises:
        SurveyError: the imagery has no data in the area.
    """
    knows_vehicles = contract.vehicles is not None
    with staging(store) as folder:
        gatherer = _gather(folder, store, plan, finished, area, counter)
        density = Density(gatherer.seen, gatherer.places_in, plan.grid)
        files = _write_places(folder, gatherer, density, plan.grid, knows_vehicles=knows_vehicles)
        states: dict[str, int] | None = None
        if bays is not None:
            # Before the districts: they count the bays.
            names, states = write_bays(folder, bays, gatherer.bays, counter, plan.grid)
            files += names
        rows = _district_rows(counter, gatherer, plan.grid, contract)
        outlines = in_degrees(np.empty(0, object) if counter is None else counter.shapes, plan.grid)
        if counter is not None:
            files += _write_districts(folder, rows, counter.shapes, outlines, plan.grid, knows_vehicles=knows_vehicles)
        summary = _summary(plan, finished, gatherer, contract, about, knows_vehicles=knows_vehicles)
        summary |= {"bays": states, "seconds": round(time.monotonic() - begun, 1)}
        (folder / "report.html").write_bytes(report_page(summary, rows, outlines, folder / "places.parquet", density))
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        publish(store, folder, [*files, "report.html", SUMMARY])
    forget_other_blocks(store, set(finished.names.values()))
    return summary


def _gather(
    folder: Path,
    store: Store,
    plan: Plan,
    finished: Finished,
    area: shapely.Geometry | None,
    counter: by_district.DistrictCounter | None,
) -> Gatherer:
    """The rows of all finished blocks, in the order of the blocks."""
    gatherer = Gatherer(folder, plan.grid, area, counter)
    for _, name in sorted(finished.names.items()):
        gatherer.add(decode(store.read(block_key(name))))
    gatherer.close()
    if not gatherer.totals.pixels:
        raise SurveyError(
            "The imagery shows nothing in the area: all of it is no data, or blank tiles. Look at it in QGIS, and "
            "check the order of --bbox: west,south,east,north."
        )
    return gatherer


def _write_places(folder: Path, gatherer: Gatherer, density: Density, grid: Grid, *, knows_vehicles: bool) -> list[str]:
    """Write places, vehicles and density; returns the names of the files."""
    files = gatherer.write(PLACE, "places")
    if knows_vehicles:
        files += gatherer.write(VEHICLE, "vehicles", VEHICLES_STYLE)
    write_density(folder / "density.tif", density, grid)
    return [*files, "density.tif"]


def _district_rows(
    counter: by_district.DistrictCounter | None, gatherer: Gatherer, grid: Grid, contract: Contract
) -> list[by_district.District]:
    if counter is None:
        return []
    seen = seen_shares(counter.shapes, gatherer.seen, grid)
    return by_district.summarise(counter, grid, seen, contract.count, knows_vehicles=contract.vehicles is not None)


def _write_districts(
    folder: Path,
    rows: list[by_district.District],
    shapes: NDArray[np.object_],
    outlines: NDArray[np.object_],
    grid: Grid,
    *,
    knows_vehicles: bool,
) -> list[str]:
    """Write the districts as GeoPackage, CSV and GeoJSON; returns the names of the files.

    Args:
        folder: to write in.
        rows: numbers of each district.
        shapes: their polygons in the survey's CRS.
        outlines: the same in longitude and latitude.
        grid: of the survey.
        knows_vehicles: whether the model finds vehicles, which decides the colours.
    """
    style = TAKEN_STYLE if knows_vehicles else DENSITY_STYLE
    write_districts(folder / "districts.gpkg", rows, shapes, grid, style)
    (folder / "districts.csv").write_bytes(by_district.to_csv(rows))
    features = json.dumps(district_features(rows, outlines), ensure_ascii=False)
    (folder / "districts.geojson").write_text(features, encoding="utf-8")
    return ["districts.gpkg", "districts.csv", "districts.geojson"]


def _summary(
    plan: Plan,
    finished: Finished,
    gatherer: Gatherer,
    contract: Contract,
    about: dict[str, Any],
    *,
    knows_vehicles: bool,
) -> dict[str, Any]:
    totals, sources = gatherer.totals, [source for layer in plan.layers for source in layer.sources]
    low, high = count_interval(totals.places, contract.count, by_district.LEVEL)
    dates = sorted(source.date.isoformat() for source in sources if source.date)
    return {
        **about,
        "crs": plan.grid.crs,
        "gsd": plan.grid.gsd,
        "bounds": list(union([source.bounds for source in sources])),
        "places": totals.places,
        "places_interval": [low, high],
        "vehicles": totals.vehicles if knows_vehicles else None,
        "pixels": totals.pixels,
        "km2": round(totals.pixels * plan.grid.gsd**2 / 1e6, 6),
        "imagery": {
            "oldest": dates[0] if dates else None,
            "newest": dates[-1] if dates else None,
            "undated": sum(source.date is None for source in sources),
        },
        "blocks": {
            "count": len(plan.blocks),
            "side": plan.tiling.side,
            "failed": sorted(finished.failed, key=lambda one: (one["row"], one["column"])),
        },
        "tiles": totals.tiles,
        "sources": [_described(source, layer.stretch) for layer in plan.layers for source in layer.sources],
    }


def _described(source: Source, stretch: Stretch) -> dict[str, Any]:
    return {
        "name": source.name,
        # A signature in an address is a key.
        "path": shown(source.path) if is_remote(source.path) else source.path,
        "checksum": source.checksum,
        "date": source.date.isoformat() if source.date else None,
        "gsd": round(source.gsd, 4),
        "crs": source.crs,
        "attribution": source.attribution,
        "bounds": list(source.bounds),
        "stretch": [stretch.low, stretch.high],
    }


def seen_shares(shapes: NDArray[np.object_], seen: dict[tuple[int, int], int], grid: Grid) -> NDArray[np.float64]:
    """Share of each shape that the imagery covers.

    Args:
        shapes: polygons in the survey's CRS.
        seen: pixels with data by cell of the density, (row, column).
        grid: of the survey.

    Returns:
        (N,), 0 to 1; where imagery ends within a cell, it is taken to lie in the shapes, as imagery of a town does.
        NaN for shapes smaller than a cell.
    """
    step = cell_step(grid)
    edge = step * grid.step
    rows, columns = (np.array([cell[axis] for cell in seen], float) for axis in (0, 1))
    left, top = grid.x + columns * edge, grid.y - rows * edge
    cells = shapely.box(left, top - edge, left + edge, top)
    covered = np.fromiter(seen.values(), float) / step**2
    tree, found = shapely.STRtree(cells), np.zeros(len(shapes))
    # Most cells lie within one shape, and need no outline of what they share with it.
    shape, cell = tree.query(shapes, predicate="contains")
    np.add.at(found, shape, covered[cell])
    inside = shape * len(cells) + cell
    shape, cell = tree.query(shapes, predicate="intersects")
    across = ~np.isin(shape * len(cells) + cell, inside)
    shape, cell = shape[across], cell[across]
    shared = shapely.area(shapely.intersection(shapes[shape], cells[cell])) / edge**2
    all_shared = np.bincount(cell, shared, len(cells))[cell].clip(1e-9, 1)
    np.add.at(found, shape, np.minimum(shared, covered[cell] * shared / all_shared))
    areas = shapely.area(shapes)
    return np.where(areas < edge**2, np.nan, np.minimum(1, found * edge**2 / np.maximum(areas, 1e-9)))


def in_degrees(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Shapes in longitude and latitude."""
    transformer: Transformer = grid.to_wgs84()
    return np.asarray(shapely.transform(shapes, lambda at: np.column_stack(transformer.transform(*at.T))), object)
