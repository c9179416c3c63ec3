"""Commands that run servers (`parking up`, `serve`, `flows`), and `parking monitor`, which reports on drift."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli import options, session
from cli.console import console
from cli.flow_command import flow_command
from cli.orphans import end, left_running
from cli.servers import Server, Servers, check_port, port_of, prefect_server, python
from cli.session import Addresses
from parking.errors import FolderError, PlatformError
from parking.lock import alone_in, is_held
from parking.optional import need
from parking.settings import Settings

Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets other machines in.")]


def up(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. The default is for this machine only. One of its network addresses, such as "
            "192.168.1.20, lets other machines in; Prefect and MLflow have no log-in."
        ),
    ] = "127.0.0.1",
    prefect_port: Annotated[int, typer.Option(help="Prefect's server and UI.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="MLflow's server and UI.")] = 5000,
    service_port: Annotated[int, typer.Option(help="The prediction service.")] = 8000,
    addresses: Annotated[
        bool, typer.Option("--addresses", help="Print the addresses of the running platform, and end.")
    ] = False,
    state: options.State = None,
) -> None:
    """Run the whole platform until Ctrl-C: Prefect, MLflow, the flows with their schedules, the service.

    Example: [bold]parking up --service-port 8080[/bold]
    """
    if addresses:
        show_running(session.start(state))
        return
    need("prefect", "`parking up`")
    settings = session.start(state)
    near = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  # compared, not bound
    mlflow = elsewhere(settings) or f"http://{near}:{mlflow_port}"
    wanted = Addresses(f"http://{near}:{prefect_port}", mlflow, f"http://{near}:{service_port}")
    folder = settings.state_dir / session.PLATFORM
    with alone_on(settings.state_dir) as lock, Servers(NamedLines(), lock, folder) as servers:
        for port, who, option in (
            (prefect_port, "Prefect", "--prefect-port"),
            *(() if elsewhere(settings) else ((mlflow_port, "MLflow", "--mlflow-port"),)),
            (service_port, "the service", "--service-port"),
        ):
            check_port(host, port, who, option)
        run_platform(servers, settings, wanted, host)
        console.print(f"[bold]Ready.[/bold] Everything is kept in {settings.state_dir}; Ctrl-C stops it all.")
        show(wanted, settings)
        where = f" --state {state}" if state else ""
        console.print(f"  In another terminal `parking up --addresses{where}` prints these again.", soft_wrap=True)
        servers.watch()


def show(addresses: Addresses, settings: Settings) -> None:
    """Print the addresses, a line each."""
    for name, address in (
        ("Service (page; API in /docs)", addresses.service),
        ("Prefect (flows, Run buttons)", addresses.prefect),
        ("MLflow (versions of the model)", f"{addresses.mlflow}/#/models/{quote(settings.model_name)}"),
    ):
        console.print(f"  {name:30} {address}", markup=False, soft_wrap=True)


def show_running(settings: Settings) -> None:
    """Print where the platform on this state folder answers.

    Raises:
        PlatformError: none runs there.
    """
    running = session.running_platform(settings.state_dir)
    if running is None:
        raise PlatformError(
            f"No platform runs on {settings.state_dir}: start one with `parking up`, or name its folder with --state."
        )
    show(running, settings)


@contextmanager
def alone_on(state_dir: Path) -> Iterator[int]:
    """Be the only platform on a state folder for the block: two would share one database, and schedule all twice.

    Servers that a killed `parking up` left running are ended first: they hold the folder, as that one gave it to them.

    Yields:
        The descriptor that holds the folder, to give to servers.

    Raises:
        PlatformError: there is one already.
        FolderError: the folder cannot be written.
    """
    folder = state_dir / session.PLATFORM
    with ExitStack() as held:
        try:
            lock = held.enter_context(alone_in(folder))
        except FolderError as error:
            if not is_held(folder):
                raise
            left = left_running(folder)
            if not left:
                raise PlatformError(
                    f"`parking up` runs on {state_dir} already: use that one, stop it, or name another folder with "
                    "--state."
                ) from error
            named = ", ".join(f"{one.name} ({one.pid})" for one in left)
            console.print(
                f"A platform was killed here and left servers running: {named}. They are ended first.", soft_wrap=True
            )
            end(left)
            lock = held.enter_context(alone_in(folder))
        yield lock


def elsewhere(settings: Settings) -> str:
    """The address of an MLflow that somebody else runs; empty where it is ours to run."""
    return settings.mlflow_tracking_uri if settings.mlflow_tracking_uri.startswith(("http://", "https://")) else ""


class NamedLines:
    """Prints each server's lines with its name in front, one line at a time."""

    COLOURS = ("cyan", "magenta", "green", "yellow")

    def __init__(self) -> None:
        self._names: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        """Print one line of one server."""
        with self._lock:
            if name not in self._names:
                self._names.append(name)
            colour = self.COLOURS[self._names.index(name) % len(self.COLOURS)]
            console.print(f"[{colour}]{name:8}[/{colour}] ", end="")
            console.print(line, markup=False, soft_wrap=True)


def run_platform(servers: Servers, settings: Settings, addresses: Addresses, host: str) -> None:
    """Start every server and return when all answer; the flows wait for the servers that they register with."""
    env = session.environment(settings, addresses)
    servers.start(prefect_server(addresses.prefect, host, env))
    if not elsewhere(settings):
        servers.start(mlflow_server(addresses.mlflow, host, env, settings))
    servers.wait_ready()
    addresses.save(settings.state_dir)
    servers.start(service_server(addresses.service, host, env))
    servers.start(flows_server(addresses.prefect, env))
    servers.wait_ready()


def mlflow_server(address: str, host: str, env: dict[str, str], settings: Settings) -> Server:
    """MLflow's server and UI over the same database that commands use without it."""
    command = [
        *python("mlflow", "server"),
        *("--backend-store-uri", settings.tracking_uri),
        *("--artifacts-destination", str(settings.artifact_dir)),
        *("--host", host, "--port", port_of(address), "--workers", "1"),
        # The service polls the alias every few seconds: those lines would hide all others.
        *("--uvicorn-opts", "--no-access-log"),
    ]
    # What MLflow imports is for its own authors to replace.
    quiet = {"PYTHONWARNINGS": "ignore:::mlflow.server.fastapi_app"}
    return Server("mlflow", command, quiet | env, f"{address}/health")


def flows_server(prefect: str, env: dict[str, str]) -> Server:
    """The flows with their schedules; ready when the last of them is registered with Prefect."""
    last = f"{prefect}/api/deployments/name/promote/promote"
    return Server("flows", python("flows.deployments", "--only-runner"), {**env, "PREFECT_LOGGING_LEVEL": "INFO"}, last)


def service_server(address: str, host: str, env: dict[str, str]) -> Server:
    """The prediction service; it lives before it has a model, and is ready once it has one."""
    command = [*python("cli.app"), "serve", "--host", host, "--port", port_of(address)]
    return Server("service", command, env, f"{address}/health/live")


def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    state: options.State = None,
) -> None:
    """Run the prediction service alone.

    Example: [bold]parking serve --port 8080[/bold]
    """
    session.start(state)
    check_port(host, port, "the service", "--port")
    from service.app import main

    main(host, port)


def flows(
    pool: Annotated[
        str,
        typer.Option(help="Hand the flows to this work pool of Kubernetes, and end.", show_default="run them here"),
    ] = "",
    job_template: Annotated[
        Path | None, typer.Option(help="JSON of Prefect's base job template: the Job that the pool runs each in.")
    ] = None,
    state: options.State = None,
) -> None:
    """Run the flows for the Prefect server that PREFECT_API_URL names, by schedule and by Run button.

    Example: [bold]parking flows[/bold]
    """
    if bool(pool) != (job_template is not None):
        raise PlatformError("A work pool needs both its name and its jobs: give --pool and --job-template together.")
    session.start(state)
    if "PREFECT_API_URL" not in os.environ:
        raise PlatformError(
            "There is no Prefect server to ask for work: set PREFECT_API_URL, or run `parking up`, which has one."
        )
    session.check_prefect(os.environ["PREFECT_API_URL"])
    from flows.deployments import main, register

    if job_template is not None:
        register(pool, job_template)
    else:
        main()


def monitor(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day to report on. (default: yesterday)")
    ] = None,
    state: options.State = None,
) -> None:
    """Report drift: compare the requests of one day with what the model was trained on.

    Example: [bold]parking monitor --day 2026-05-01[/bold]
    """
    with flow_command(state, "Written reports are kept. Run the same command again to make the others.") as settings:
        from flows.monitor import monitor as flow

        reports = flow(day.date() if day else None)
    for report in reports:
        who = f"Version {report.version}" if report.version else "No version"
        console.print(f"{who}: [bold]{report.verdict}[/bold]. {report.reason}")
        console.print(f"  {settings.store_url}/{report.html}", markup=False, soft_wrap=True)
