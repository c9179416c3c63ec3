"""What has to be so before Prefect and MLflow are imported: where they keep state, and who answers."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from cli.console import console
from parking.errors import PlatformError
from parking.files import write_whole
from parking.lock import is_held
from parking.logs import configure_logs
from parking.optional import need
from parking.settings import Settings, get_settings

PLATFORM = "platform"
"""Folder below the state's that a running platform holds."""
ADDRESSES = "addresses.json"


@dataclass(frozen=True)
class Addresses:
    """Where the servers of a running platform answer; `parking up` keeps them in its state folder."""

    prefect: str
    mlflow: str
    service: str

    def save(self, state_dir: Path) -> None:
        """Let commands that share the state folder find the platform, which holds `PLATFORM` in it."""
        write_whole(state_dir / PLATFORM / ADDRESSES, json.dumps(asdict(self)).encode())


def running_platform(state_dir: Path) -> Addresses | None:
    """The platform that runs on this state folder, if one does and answers."""
    # Who answers at the port of a platform that has ended may be another one.
    if not is_held(state_dir / PLATFORM):
        return None
    try:
        found = Addresses(**json.loads((state_dir / PLATFORM / ADDRESSES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if answers(f"{found.prefect}/api/health") else None


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether a server says 200 at `url`."""
    try:
        with urlopen(url, timeout=timeout) as response:  # noqa: S310  # an address of our own
            return bool(response.status == 200)
    except (URLError, OSError, ValueError):
        return False


def environment(settings: Settings, addresses: Addresses | None) -> dict[str, str]:
    """Variables that Prefect, MLflow and Evidently want: state in our folder, no telemetry, no chatter."""
    state = settings.state_dir.resolve()
    variables = {
        "PARKING_STATE_DIR": str(state),
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        # In its memory, where they are by default, a restart loses who has a deployment's slot, but not that it is
        # taken: no run of it would ever begin again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        # Prefect prints a traceback for every failed flow; a command ends in a sentence instead.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "1",
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    variables = {name: os.environ.get(name, value) for name, value in variables.items()}
    if addresses is not None:
        variables["PREFECT_API_URL"] = f"{addresses.prefect}/api"
        if not settings.mlflow_tracking_uri:
            variables["PARKING_MLFLOW_TRACKING_URI"] = addresses.mlflow
    return variables


def start(state: Path | None = None) -> Settings:
    """Set this process up for work on one state folder, together with the platform that runs on it, if any.

    Raises:
        PlatformError: the state folder cannot be made.
    """
    if state is not None:
        os.environ["PARKING_STATE_DIR"] = str(state.resolve())
        get_settings.cache_clear()
    settings = get_settings()
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"The state folder {settings.state_dir} cannot be made ({error.strerror}): name another with --state."
        ) from error
    os.environ.update(environment(settings, running_platform(settings.state_dir)))
    get_settings.cache_clear()
    settings = get_settings()
    configure_logs(settings)
    return settings


def start_flows(state: Path | None = None) -> Settings:
    """`start`, for a command that runs a flow; says what takes time where no platform is running."""
    need("prefect", "A command that runs a flow")
    # What a run logs goes to Prefect's pages; on the terminal our own log says it.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    settings = start(state)
    if has_prefect():
        check_prefect(os.environ["PREFECT_API_URL"])
    else:
        console.print(
            "[dim]No `parking up` runs on this state folder: Prefect starts for this command alone, which takes "
            "about half a minute.[/dim]",
            soft_wrap=True,
        )
    return settings


def has_prefect() -> bool:
    """Whether a Prefect server is there that flows may use."""
    return "PREFECT_API_URL" in os.environ


@contextmanager
def prefect_at(address: str) -> Iterator[None]:
    """Let flows in the block use the server at this address."""
    os.environ["PREFECT_API_URL"] = f"{address}/api"
    try:
        yield
    finally:
        del os.environ["PREFECT_API_URL"]


def check_prefect(url: str) -> None:
    """See that somebody answers where Prefect should be; whether we are let in, Prefect says itself.

    Raises:
        PlatformError: nobody does.
    """
    try:
        urlopen(f"{url}/health", timeout=5.0).close()  # noqa: S310  # an address that the user chose
    except HTTPError as refused:
        refused.close()
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"Prefect at {url} does not answer ({getattr(error, 'reason', error)}): start it, or correct "
            "PREFECT_API_URL. Without that variable Prefect starts for the command alone."
        ) from error
