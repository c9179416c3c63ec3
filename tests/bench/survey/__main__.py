"""What a survey costs: time, memory, seams, and what its peers take for the same; all of it as ratios of one run.

uv run python -m tests.bench.survey [--images DIR] [--only PART …] [--peers] [--json]

Parts: `bare` (blocks against a bare loop over the same tiles), `area` (four times the ground), `workers` (two against
one with two threads), `gather` (a million places), `serve` (asking a service for them), `kill` (killed twice and
resumed), `peers`, `cost`. Each measurement is a process of its own, and what is compared runs in turns: other load on
the machine affects both alike. Processor seconds are what a busy machine changes least.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.survey import kill, peers, places, rates
from tests.bench.survey.mosaic import write_mosaic

PARTS = ("bare", "area", "workers", "gather", "serve", "kill", "cost")
FINE = 0.045
"""Metres per pixel of the large mosaics, as of a drone: of a gigapixel the model sees 62 megapixels."""
MODEL = 0.18
"""Metres per pixel that the model reads."""


class Bench:
    """The measurements of one run, and the mosaics that they share."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.results: dict[str, Any] = {}

    def mosaic(self, megapixels: float, gsd: float) -> Path:
        """A mosaic, made in a process of its own: a child's peak of memory counts from its parent's."""
        path = self.folder / f"{megapixels:.0f}-{gsd}.tif"
        if not path.is_file():
            self.alone("mosaic", path, megapixels, gsd, *([self.options.images] if self.options.images else []))
        return path

    def alone(self, name: str, *arguments: object) -> Any:
        """Run one measurement in a process of its own."""
        command = [sys.executable, "-m", "tests.bench.survey", "--one", name, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def bare(self) -> None:
        """Blocks in the middle of a mosaic against the model alone."""
        found = self.alone("bare", self.mosaic(160 * self.options.scale, MODEL), self.options.blocks)
        self.tell("bare", found)

    def area(self) -> None:
        """Four times the ground: time, and the memory of the worker and of the process that gathers."""
        small, large = (
            self.alone("survey", self.mosaic(size * self.options.scale, FINE), self.folder / f"out-{size}", 1, 1)
            for size in (250, 1000)
        )
        ratios = {
            "large_to_four_small_cpu": large["worker_cpu_seconds"] / (4 * small["worker_cpu_seconds"]),
            "large_to_four_small_wall": large["block_seconds"] / (4 * small["block_seconds"]),
            "worker_memory": large["worker_peak_mib"] / small["worker_peak_mib"],
        }
        self.tell("area", {"small": small, "large": large, **ratios})

    def workers(self) -> None:
        """Two workers of one thread against one of two, in turns; and what Dask takes between blocks."""
        mosaic, rounds = self.mosaic(40 * self.options.scale, MODEL), []
        for number in range(self.options.rounds):
            out = [self.folder / f"workers-{number}-{workers}" for workers in (2, 1)]
            rounds.append([self.alone("survey", mosaic, out[0], 2, 1), self.alone("survey", mosaic, out[1], 1, 2)])
        ratios = {
            name: min(two[name] for two, _ in rounds) / min(one[name] for _, one in rounds)
            for name in ("compute_seconds", "worker_cpu_seconds")
        }
        between = min(one["share_between_blocks"] for _, one in rounds)
        self.tell("workers", {"two_to_one": ratios, "dask_share": between, "rounds": rounds})

    def gather(self) -> None:
        """A million places."""
        folder = self.folder / "store" / "surveys" / "million"
        folder.mkdir(parents=True, exist_ok=True)
        self.alone("blocks", folder, self.options.places)
        self.tell("gather", self.alone("gather", folder))

    def serve(self) -> None:
        """A service that is asked for boxes of these, and for tiles of the imagery below."""
        self.tell("serve", places.serve(self.folder, self.mosaic(250 * self.options.scale, FINE)))

    def kill(self) -> None:
        """The command itself over the large mosaic, killed twice and resumed, against an unbroken run."""
        self.tell("kill", kill.killed_and_resumed(self.mosaic(1000 * self.options.scale, FINE), self.folder))

    def peers(self) -> None:
        """Peers on a file of the model's resolution."""
        self.tell("peers", peers.beside(self.mosaic(self.options.peer_megapixels, MODEL), self.folder))

    def cost(self) -> None:
        """A city on paper: of the rate of whole blocks, every core at it as one was."""
        bare = self.results.get("bare") or self.alone("bare", self.mosaic(160 * self.options.scale, MODEL), 2)
        seconds = 1e9 / MODEL**2 / (bare["network_megapixels"] * 1e6 / bare["cpu_seconds"])
        hours = {cores: seconds / cores / 3600 for cores in (2, 64)}
        euros = seconds / 3600 * self.options.euros
        self.tell("cost", {"core_hours_for_1000_km2": seconds / 3600, "hours": hours, "euros": euros})

    def tell(self, part: str, found: dict[str, Any]) -> None:
        """Keep what was found, and print it."""
        self.results[part] = found
        if not self.options.json:
            print(f"{part}: {json.dumps(_rounded(found), indent=1)}", flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def one(name: str, arguments: Sequence[str]) -> Any:
    """A measurement in this process."""
    match name, arguments:
        case "mosaic", [path, megapixels, gsd, *images]:
            return write_mosaic(Path(path), float(megapixels), float(gsd), Path(images[0]) if images else None)
        case "bare", [mosaic, blocks]:
            return rates.beside_bare_loop(Path(mosaic), int(blocks))
        case "survey", [mosaic, out, workers, threads]:
            return rates.whole_survey(Path(mosaic), Path(out), int(workers), int(threads))
        case "blocks", [folder, count]:
            return places.make_blocks(Path(folder), int(count))
        case "gather", [folder]:
            return places.gather(Path(folder))
        case "peer", [peer, mosaic, out]:
            return peers.run(peer, Path(mosaic), Path(out))
    raise SystemExit(f"There is no measurement '{name}' of {arguments}.")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder with real images; drawn scenes without it")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true", help="print one document at the end")
    parser.add_argument("--keep", type=Path, help="folder for mosaics and results, kept for the next run")
    parser.add_argument("--scale", type=float, default=1.0, help="size of all mosaics: 0.1 for a quick look")
    parser.add_argument("--blocks", type=int, default=4, help="of the part `bare`")
    parser.add_argument("--rounds", type=int, default=2, help="of the part `workers`")
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--peer-megapixels", type=float, default=16.0)
    parser.add_argument("--euros", type=float, default=0.04, help="for an hour of a core, which is an assumption")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one[0], options.one[1:]), default=float))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(folder, options)
        for part in (*options.only, *(["peers"] if options.peers else [])):
            getattr(bench, part)()
    if options.json:
        print(json.dumps(bench.results, indent=1, default=float))


if __name__ == "__main__":
    main()
