"""What every command that runs a flow needs: settings, Prefect, progress, and an end within two seconds of Ctrl-C."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from cli import session
from cli.console import progress_shown
from cli.servers import Servers, free_port, prefect_server
from cli.stopping import stops_soon
from parking.settings import Settings

GO_ON = "Run the same command again to continue."


@contextmanager
def flow_command(state: Path | None, kept: str) -> Iterator[Settings]:
    """Let the block run flows, with the platform of the state folder or a Prefect server for this command alone.

    Flows are imported inside the block: what they import reads the environment that is set here.

    Args:
        state: the state folder, if not the one of the settings.
        kept: what stays when the command is stopped, see `stops_soon`.

    Raises:
        PlatformError: the state folder cannot be made, or Prefect does not answer.
    """
    with stops_soon(kept), ExitStack() as stack:
        settings = session.start_flows(state)
        if not session.has_prefect():
            stack.enter_context(own_prefect(settings))
        stack.enter_context(progress_shown())
        yield settings


@contextmanager
def own_prefect(settings: Settings) -> Iterator[None]:
    """A Prefect server for the block, which ends with this process, however that ends."""
    folder = settings.state_dir / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{free_port()}"
    with (
        (folder / "server.log").open("w", encoding="utf-8", buffering=1) as log,
        Servers(lambda _, line: print(line, file=log)) as servers,
        session.prefect_at(address),
    ):
        servers.start(prefect_server(address, "127.0.0.1", session.environment(settings, None)))
        # While the server starts, and with its address set, which is read here.
        import_module("prefect")
        servers.wait_ready()
        yield
