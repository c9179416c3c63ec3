"""How fast the service is, beside a bare loop over the same tiles and beside its peers, in one run on one machine.

uv run python tests/bench/service.py [--peers] [--runtimes] [--json FILE]
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from parking.data.imagery import encode_png, read_raster
from parking.data.synthetic.scene import generate_scene
from parking.data.tiles import stitch
from parking.detection.contract import STRIDE, read_contract
from parking.detection.onnx_model import open_session
from parking.registry import Registry
from parking.settings import Settings
from parking.tracking import Tracker
from tests.bench.load import Load, press
from tests.bench.models import write_network
from tests.bench.peers.start import PEERS, Asks, peer
from tests.bench.servers import Running, our_service
from tests.doubles import golden_pixels, write_bright_model


def main() -> None:
    """Measure, print, and write what was measured."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options)
    results["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, by name."""
    model = write_network(folder / "model.onnx")
    settings = make_registry(folder / "state", model)
    results: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    with our_service(folder / "state", folder / "service.log") as first:
        first_seconds = first.seconds_to_ready
    with our_service(folder / "state", folder / "service.log") as ours:
        seconds, rest = ours.seconds_to_ready, ours.memory_mb("VmRSS")
        results["start"] = {"first_seconds": first_seconds, "seconds": seconds, "rest_mb": rest}
        print(f"start to ready {first_seconds:.2f} s the first time, {seconds:.2f} s with a version remembered")
        wait_until_confirmed(ours)
        results["start"]["rest_mb"] = ours.memory_mb("VmRSS")
        print(f"at rest {rest:.0f} MiB, {results['start']['rest_mb']:.0f} MiB with MLflow loaded")
        results["throughput"] = against_bare(ours, model, options)
        results["health"] = health_while_busy(ours, options.seconds)
        results["swap"] = swap(ours, settings, options.seconds)
        results["peak"] = peak(ours, options.peak)
    results["leak"] = leak(folder / "leak", folder, options.leak)
    if options.runtimes:
        from tests.bench.runtimes import measure_runtimes

        results["runtimes"] = measure_runtimes(folder, options.images, 10 * options.rounds)
    if options.peers:
        results["peers"] = against_peers(folder, model, options)
    return results


def wait_until_confirmed(ours: Running) -> None:
    """Until the registry has been opened: that is work, too, and must not fall into a measurement."""
    while not httpx.get(f"{ours.address}/health", trust_env=False, timeout=30).json()["confirmed"]:
        time.sleep(0.1)


def make_registry(state: Path, *files: Path) -> Settings:
    """A registry in a folder, each file a version (twice where there is one), the first in production."""
    settings = Settings(_env_file=None, state_dir=state)
    state.mkdir()
    registry = Registry(settings.tracking_uri, settings.model_name)
    with Tracker(settings.tracking_uri, settings.model_name, settings.artifact_dir).run("bench") as run:
        for file in files * (2 if len(files) == 1 else 1):
            registry.register(file, run_id=run.id, tags={})
    registry.promote(1, reason="first", by="bench")
    return settings


def image_of(size: int, form: str) -> bytes:
    """A generated scene as a file."""
    pixels = generate_scene(1, size).raster.pixels
    if form == "png":
        return encode_png(pixels)
    _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return bytes(encoded.tobytes())


def bare(model: Path, data: bytes, seconds: float) -> float:
    """Images a second of a loop that decodes an image and runs the model over its tiles, and no more."""
    session, contract = open_session(model), read_contract(model)
    done, started = 0, time.perf_counter()

    def run(tiles: Any) -> Any:
        return np.stack(session.run(list(contract.maps), {"tiles": tiles}), axis=-1)

    while done < 2 or time.perf_counter() - started < seconds:
        pixels = read_raster(data).pixels
        stitch(pixels, run, tile=contract.tile, overlap=contract.overlap, batch=1, multiple=STRIDE)
        done += 1
    return done / (time.perf_counter() - started)


def against_bare(ours: Running, model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Ratio of the service's throughput to the bare loop's; both in turns, so that other work hits both."""
    rows = []
    for size, form, clients in product(options.sizes, options.formats, options.clients):
        data = image_of(size, form)
        loops, loads = [], []
        for _ in range(options.rounds):
            loops.append(bare(model, data, options.seconds))
            loads.append(press(Asks.ask(ours.address, data), clients, options.seconds))
        ratio = statistics.median(load.per_second / loop for load, loop in zip(loads, loops, strict=True))
        row = {"size": size, "form": form, "clients": clients, "bare": statistics.median(loops), "ratio": ratio}
        rows.append({**row, **asdict(middle(loads))})
        print(
            f"{size:5} {form:5} {clients:3} clients: {ratio:.2f} of the bare loop ({row['bare']:.2f}/s), "
            f"{_told(middle(loads))}"
        )
    return rows


def against_peers(folder: Path, model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Ours and each peer's in turns, one pair at a time so that only two servers share the machine."""
    rows = []
    data = image_of(512, "jpeg")
    for name in PEERS:
        with our_service(folder / "state", folder / "service.log") as ours, peer(name, model, folder) as (other, asks):
            wait_until_confirmed(ours)
            for clients in options.clients:
                mine: list[Load] = []
                theirs: list[Load] = []
                for _ in range(options.rounds):
                    mine.append(press(Asks.ask(ours.address, data), clients, options.seconds))
                    theirs.append(press(asks.ask(other.address, data), clients, options.seconds))
                ratio = statistics.median(a.per_second / b.per_second for a, b in zip(mine, theirs, strict=True))
                told = {"ours": asdict(middle(mine)), "theirs": asdict(middle(theirs))}
                rows.append({"peer": name, "clients": clients, "ratio": ratio, **told})
                print(
                    f"{ratio:.2f} times {name} at {clients} clients; ours {_told(middle(mine))}; "
                    f"its {_told(middle(theirs))}"
                )
    return rows


def health_while_busy(ours: Running, seconds: float) -> dict[str, float]:
    """The 99th percentile of health and metrics while 16 callers keep every slot busy."""
    took: list[float] = []

    def watch() -> None:
        with httpx.Client(base_url=ours.address, trust_env=False) as client:
            while busy.is_alive():
                for path in ("/health/live", "/health/ready", "/metrics"):
                    started = time.perf_counter()
                    client.get(path)
                    took.append(time.perf_counter() - started)
                time.sleep(0.01)

    busy = threading.Thread(target=press, args=(Asks.ask(ours.address, image_of(512, "jpeg")), 16, seconds))
    busy.start()
    watch()
    result = {"p99_ms": sorted(took)[int(0.99 * len(took))] * 1000, "p50_ms": statistics.median(took) * 1000}
    print(f"health and metrics under load: p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms")
    return result


def swap(ours: Running, settings: Settings, seconds: float) -> dict[str, Any]:
    """Latency and failures under 16 callers, without and with versions that change every two seconds."""
    ask = Asks.ask(ours.address, image_of(512, "jpeg"))
    registry = Registry(settings.tracking_uri, settings.model_name)
    usual = press(ask, 16, 2 * seconds)
    done = threading.Event()

    def promote() -> None:
        number = 1
        while not done.wait(2.0):
            number = 3 - number
            registry.promote(number, reason="to measure a swap", by="bench")

    changing = threading.Thread(target=promote)
    changing.start()
    swapped = press(ask, 16, 2 * seconds)
    done.set()
    changing.join()
    ratio = swapped.p99_ms / usual.p99_ms
    print(f"swaps: {swapped.failures} failed of {swapped.answers}; p99 {ratio:.2f} of the usual {usual.p99_ms:.0f} ms")
    return {"ratio": ratio, "usual": asdict(usual), "swapped": asdict(swapped)}


def peak(ours: Running, size: int) -> dict[str, float]:
    """Most memory after one large image."""
    pixels = np.tile(generate_scene(2, 512).raster.pixels, (-(-size // 512), -(-size // 512), 1))[:size, :size]
    load = press(Asks.ask(ours.address, encode_png(np.ascontiguousarray(pixels))), 1, 0, least=1)
    result = {"size": size, "peak_mb": ours.memory_mb("VmHWM"), "seconds": load.p50_ms / 1000}
    print(f"{size}x{size}: peak {result['peak_mb']:.0f} MiB, {result['seconds']:.1f} s, {load.failures} failed")
    return result


def leak(state: Path, folder: Path, requests: int) -> dict[str, float]:
    """Memory after a tenth and after all of many requests, with a model so small that the service is what works."""
    make_registry(state, write_bright_model(folder / "bright.onnx"))
    data = encode_png(golden_pixels())
    with our_service(state, folder / "leak.log") as ours:
        press(Asks.ask(ours.address, data), 4, 0, least=requests // 10)
        early = ours.memory_mb("VmRSS")
        load = press(Asks.ask(ours.address, data), 4, 0, least=requests - requests // 10)
        late = ours.memory_mb("VmRSS")
    print(f"{requests} requests ({load.per_second:.0f}/s): {early:.0f} MiB after a tenth, {late:.0f} MiB at the end")
    return {"requests": requests, "early_mb": early, "late_mb": late, "per_second": load.per_second}


def middle(loads: Sequence[Load]) -> Load:
    """The round of median throughput."""
    by_speed: Callable[[Load], float] = lambda load: load.per_second  # noqa: E731
    return sorted(loads, key=by_speed)[len(loads) // 2]


def _told(load: Load) -> str:
    return f"{load.per_second:.2f}/s, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms, {load.failures} failed"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="MLflow, BentoML and LitServe, too (group `bench`)")
    parser.add_argument("--runtimes", action="store_true", help="other settings and runtimes, too (group `bench`)")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="real images for --runtimes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--formats", nargs="+", default=["png", "jpeg"])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--peak", type=int, default=4096, help="side of the image for the peak of memory")
    parser.add_argument("--leak", type=int, default=10_000, help="requests of the leak test")
    return parser.parse_args()


if __name__ == "__main__":
    main()
