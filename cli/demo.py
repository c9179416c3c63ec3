"""`parking demo`: the whole loop in minutes, on real servers, with the measured scores at the end."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from cli import options, session
from cli.console import console, progress_shown
from cli.platform import service_server
from cli.servers import Servers, Sink, free_port, prefect_server
from cli.stopping import stops_soon
from parking.errors import PlatformError
from parking.optional import need

MARK = ".made-by-parking-demo"
STEPS, OWN_STEPS = 40, 120
"""Of the last training: on drawn scenes, which are easy, and on real ones, which teach little in so few."""

OF_ITS_OWN = {
    "PARKING_STORE": "",
    "PARKING_MLFLOW_TRACKING_URI": "",
    "PARKING_STUDY_URL": "",
    "PARKING_TASK_RUNNER": "threads",
    "PARKING_DASK_ADDRESS": "",
    "PARKING_AUTH": "false",
}
"""Settings of a platform elsewhere, emptied: a demo promotes what it trained in minutes, and only in its own folder."""

TUNING_SHARE = 0.4
"""Part of the time for learning that the tuning takes; the rest trains the new version."""


def demo(
    data: options.Data = "generated",
    steps: Annotated[
        int | None,
        typer.Option(
            min=4,
            help=f"Steps of a training; trials make a quarter (default {STEPS}, on your own images {OWN_STEPS}).",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time to tune and train, instead of steps; refused if too short.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything; that of an earlier demo is replaced.")] = Path(
        "parking-demo"
    ),
) -> None:
    """See the whole loop in minutes: ingest, tune, train, promote, serve, predict, monitor.

    Example: [bold]parking demo --data ../my-annotated-images[/bold]
    """
    for module in ("prefect", "torch"):
        need(module, "`parking demo`")
    make_folder(out)
    os.environ |= OF_ITS_OWN | {"PARKING_REGISTER_SHIPPED": "false"}
    started = time.monotonic()
    kept = f"A stopped demo cannot be continued: the same command starts a new one. Its files are in {out}."
    with (
        stops_soon(kept),
        (out / "servers.log").open("a", encoding="utf-8", buffering=1) as log,
        Servers(writer(log)) as servers,
    ):
        play(servers, data, steps or (STEPS if data == "generated" else OWN_STEPS), minutes, out)
    console.print(f"\n[dim]{(time.monotonic() - started) / 60:.1f} minutes in all.[/dim]")


def writer(log: TextIO) -> Sink:
    """Writes the servers' lines to a file; on the terminal they would hide the demo's own."""

    def write(name: str, line: str) -> None:
        log.write(f"{name:8} {line}\n")

    return write


def make_folder(out: Path) -> None:
    """An empty folder, in place of the one that an earlier demo made.

    Raises:
        PlatformError: it holds something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise PlatformError(f"The folder {out} holds files that no demo made: name another with --out.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).touch()


@contextmanager
def step(title: str) -> Iterator[None]:
    """A part of the demo: its title, its progress, and how long it took."""
    started = time.monotonic()
    console.print(f"[bold]{title}[/bold]")
    with progress_shown():
        yield
    console.print(f"  [dim]took {time.monotonic() - started:.0f} s[/dim]")


def play(servers: Servers, data: str, steps: int, minutes: float | None, out: Path) -> None:
    """Every step in turn, then the summary."""
    settings = session.start(out)
    prefect, service = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    env = session.environment(settings, None) | {"PREFECT_API_URL": f"{prefect}/api"}
    os.environ.update(env)
    servers.start(prefect_server(prefect, "127.0.0.1", env))
    with step("1/7  Start Prefect, read images and annotations"):
        from cli.demo_loop import Loop

        servers.wait_ready("prefect")
        loop = Loop(settings, service, out, steps)
        loop.ingest(data)
    with step("2/7  Train and promote a first, quick version, and serve it"):
        loop.train_first()
        servers.start(service_server(service, "127.0.0.1", env))
        servers.wait_ready("service")
        loop.see_serving()
    with step("3/7  Tune by cross-validation"):
        loop.tune(minutes and minutes * TUNING_SHARE)
    with step("4/7  Train the best settings, score, register"):
        loop.train(minutes and minutes * (1 - TUNING_SHARE))
    with step("5/7  Promote through the gate; the service reloads"):
        loop.promote()
    with step("6/7  Ask the service about images it has not seen"):
        loop.predict()
        loop.compare()
    with step("7/7  Monitor: the same kind of images, then shifted ones"):
        loop.monitor()
    loop.summarise()
