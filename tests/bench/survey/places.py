"""A million places: made as blocks would make them, gathered, and asked for; each in a process of its own."""

import json
import math
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import shapely

from parking.detection.contract import Contract, read_contract
from parking.shipped import shipped_model
from parking.storage import open_store
from parking.survey.blocks import BlockContent, Found, core_of
from parking.survey.districts import DistrictCounter
from parking.survey.folder import block_key
from parking.survey.grid import Grid, grid_at
from parking.survey.outputs import Finished, write_outputs
from parking.survey.plan import Plan, make_layers, make_plan
from parking.survey.records import BlockRecord, cells_of, encode, rows_of
from parking.survey.sources import Source, find_sources
from tests.bench.servers import Running, serving
from tests.bench.survey.mosaic import CRS, NORTH, WEST
from tests.servers import free_ports

EDGE_KM = 31.6
"""Of the city: a thousand square kilometres."""
ACROSS = 10
"""Districts along its edge."""
REQUEST_SECONDS = 600
"""After which an answer is given up: what a busy machine answers late is a result, too."""


def city_plan(contract: Contract, block: int = 4096) -> Plan:
    """Blocks of a city whose imagery nobody reads."""
    grid = grid_at(CRS, contract.gsd)
    side = round(EDGE_KM * 1000 / grid.gsd)
    transform = (grid.step, 0.0, WEST, 0.0, -grid.step, NORTH)
    source = Source(
        path="/city.tif", name="city.tif", checksum="0", crs=CRS, transform=transform, width=side, height=side,
        overview=-1, dtype="uint8", bands=(1, 2, 3), palette=False, masked=False, gsd=grid.gsd, date=date(2024, 5, 1),
        bounds=(2.35, 48.57, 2.78, 48.86),
    )  # fmt: skip
    return make_plan(grid, make_layers([source], {}), contract, block, None)


def make_blocks(folder: Path, places: int) -> int:
    """Keep finished blocks with about so many places, as workers would; returns how many there are."""
    plan = city_plan(read_contract(shipped_model()))
    store, chance = open_store(str(folder)), np.random.default_rng(5)
    valid = np.ones((plan.tiling.side, plan.tiling.side), bool)
    written = 0
    for number, block in enumerate(plan.blocks):
        left, top, *_ = core_of(block, plan.tiling)
        count = round(places * (number + 1) / len(plan.blocks)) - written
        at = chance.uniform((left, top), (left + plan.tiling.side, top + plan.tiling.side), (count, 2))
        found = tuple(Found(shapely.box(x, y, x + 13, y + 28), (x + 6.5, y + 14), 0.9, 1) for x, y in at.tolist())
        rows = rows_of(BlockContent(found, (), valid, 0), plan.there(block), plan.grid)
        record = BlockRecord(rows, valid.size, 324, 30.0, cells_of(valid, left, top, plan.grid))
        store.write(block_key(f"{number:024d}"), encode(record))
        written += count
    return len(plan.blocks)


def gather(folder: Path) -> dict[str, Any]:
    """What the gathering process does with the blocks that are kept."""
    from tests.bench.survey.rates import clocks, peak_mib

    contract = read_contract(shipped_model())
    plan, store = city_plan(contract), open_store(str(folder))
    finished = Finished({block: f"{number:024d}" for number, block in enumerate(plan.blocks)})
    begun, before = clocks(), peak_mib()
    about: dict[str, Any] = {"started": "2024-05-01T00:00:00+00:00"}
    told = write_outputs(store, plan, finished, None, _districts(plan.grid), None, contract, about, time.monotonic())
    took = clocks() - begun
    sizes = {file.name: file.stat().st_size / 1e6 for file in folder.iterdir() if file.is_file()}
    return {
        "places": told["places"],
        "km2": told["km2"],
        "blocks": len(plan.blocks),
        "cpu_seconds": took[0],
        "wall_seconds": took[1],
        "before_mib": before,
        "peak_mib": peak_mib(),
        "megabytes": sizes,
    }


def _districts(grid: Grid) -> DistrictCounter:
    edge = EDGE_KM * 1000 / ACROSS
    cells = [(row, column) for row in range(ACROSS) for column in range(ACROSS)]
    shapes = [
        shapely.box(WEST + c * edge, NORTH - (r + 1) * edge, WEST + (c + 1) * edge, NORTH - r * edge) for r, c in cells
    ]
    return DistrictCounter([f"{r}-{c}" for r, c in cells], np.array(shapes, object))


def ask(running: Running, name: str, file: Path) -> dict[str, Any]:
    """Ask a service for boxes of a survey, from one street to the whole city; what that takes, and its memory."""
    west, south, east, north = _bounds(file)
    chance = np.random.default_rng(3)
    took: dict[str, Any] = {"rest_mib": running.memory_mb("VmRSS")}
    with httpx.Client(base_url=running.address, timeout=REQUEST_SECONDS, trust_env=False) as client:
        for metres, count in ((250, 30), (1000, 30), (4000, 30), (40_000, 3)):
            width, height = metres / 73_000, metres / 111_000
            answers, seconds, sizes = 0, [], []
            for _ in range(count):
                x, y = chance.uniform((west, south), (max(west, east - width), max(south, north - height)))
                begun = time.perf_counter()
                answer = client.get(
                    f"/surveys/{name}/places",
                    params={"bbox": f"{x},{y},{x + width},{y + height}", "limit": 10_000},
                )
                seconds.append(time.perf_counter() - begun)
                answers += len(answer.raise_for_status().json()["features"])
                sizes.append(len(answer.content))
            took[f"box of {metres} m"] = {
                "median_ms": statistics.median(seconds) * 1000,
                "slowest_ms": max(seconds) * 1000,
                "places": answers / count,
                "kilobytes": statistics.mean(sizes) / 1000,
            }
        begun, pages, offset = time.perf_counter(), 0, 0
        while offset < 100_000:
            answer = client.get(f"/surveys/{name}/places", params={"limit": 10_000, "offset": offset})
            pages, offset = pages + 1, offset + len(json.loads(answer.content)["features"])
        took["page_of_10000_ms"] = (time.perf_counter() - begun) / pages * 1000
        begun = time.perf_counter()
        client.get(f"/surveys/{name}/places", params={"limit": 1000, "offset": 990_000}).raise_for_status()
        took["last_page_ms"] = (time.perf_counter() - begun) * 1000
    took["peak_mib"] = running.memory_mb("VmHWM")
    return took


def _bounds(file: Path) -> tuple[float, float, float, float]:
    about = pq.ParquetFile(file).metadata
    names = {about.row_group(0).column(n).path_in_schema: n for n in range(about.num_columns)}
    groups = range(about.num_row_groups)

    def side(name: str, pick: Any) -> float:
        found = (about.row_group(g).column(names[f"bbox.{name}"]).statistics for g in groups)
        return float(pick(getattr(one, "min" if pick is min else "max") for one in found))

    return side("xmin", min), side("ymin", min), side("xmax", max), side("ymax", max)


def serve(folder: Path, mosaic: Path) -> dict[str, Any]:
    """Start a service on the store with a million places, and ask it; then for tiles of imagery below the page.

    Args:
        folder: with the `store`; the service keeps its state here.
        mosaic: imagery that it may show.
    """
    (port,) = free_ports(1)
    imagery = folder / "store" / "surveys" / "imagery"
    imagery.mkdir(exist_ok=True)
    source = find_sources([str(mosaic)], read_contract(shipped_model()).gsd)[0]
    shown = {"name": mosaic.name, "path": str(mosaic), "gsd": source.gsd, "bounds": source.bounds, "stretch": [0, 255]}
    about = json.loads((folder / "store" / "surveys" / "million" / "survey.json").read_text())
    (imagery / "survey.json").write_text(json.dumps(about | {"sources": [shown]}))
    env = {
        "PARKING_STATE_DIR": str(folder / "state"),
        "PARKING_STORE": str(folder / "store"),
        "PARKING_SURVEY_IMAGERY": str(mosaic.resolve().parent),
        "PARKING_REQUEST_SECONDS": str(REQUEST_SECONDS),
    }
    command = [sys.executable, "-c", f"from service.app import main; main('127.0.0.1', {port})"]
    took = {}
    with serving(command, port, "/health", folder / "service.log", env) as running:
        took["places"] = ask(running, "million", folder / "store" / "surveys" / "million" / "places.parquet")
    with serving(command, port, "/health", folder / "service.log", env) as running:
        took["imagery"] = ask_tiles(running, source.bounds)
    return took


def ask_tiles(running: Running, bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    """Ask for a screen of tiles of the imagery at several zooms, some at once."""
    took: dict[str, Any] = {"rest_mib": running.memory_mb("VmRSS")}
    longitude, latitude = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    with httpx.Client(base_url=running.address, timeout=REQUEST_SECONDS, trust_env=False) as client:
        for zoom in (15, 17, 19, 21):
            across = 2**zoom
            x = int((longitude + 180) / 360 * across)
            y = int((1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * across)
            tiles = [f"/surveys/imagery/imagery/{zoom}/{x + dx}/{y + dy}.png" for dx in range(6) for dy in range(4)]
            begun = time.perf_counter()
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(client.get, tiles))
            took[f"zoom {zoom}: ms a tile"] = (time.perf_counter() - begun) / len(tiles) * 1000
            took[f"zoom {zoom}: kilobytes"] = sum(len(one.raise_for_status().content) for one in answers) / 1000
    took["peak_mib"] = running.memory_mb("VmHWM")
    return took
