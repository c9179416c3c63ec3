"""Before flows start: wait for the servers, say in a sentence what cannot work, and give an empty registry a model."""

import os
import sys
import time
import urllib.request
from collections.abc import Callable

from loguru import logger

from parking.errors import ParkingError
from parking.logs import configure_logs
from parking.settings import get_settings
from parking.shipped import register_shipped
from parking.storage import open_store
from parking.workspace import open_workspace

PATIENCE = 300
"""Seconds that a server of the same release may take to start."""


def reach_prefect() -> None:
    """Raises OSError where Prefect does not answer."""
    address = f"{os.environ['PREFECT_API_URL']}/health"
    try:
        urllib.request.urlopen(address, timeout=5).close()  # noqa: S310  # an address from the values
    except OSError as error:
        raise OSError(f"{address} does not answer ({error}): it may be starting, or the address is wrong") from error


def wait_for(what: str, check: Callable[[], object]) -> None:
    """Try until it works, and say each time why it does not yet."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            check()
        except (ParkingError, OSError) as error:
            logger.error("{}: {}", what, error)
        else:
            logger.info("{} answers", what)
            return
        if time.monotonic() > end:
            sys.exit(1)
        time.sleep(5)


try:
    settings = get_settings()
except ParkingError as error:
    sys.exit(str(error))
configure_logs(settings)
wait_for("The store (store.url, s3)", lambda: open_store(settings.store_url))
wait_for("Prefect (prefect.address)", reach_prefect)
wait_for("MLflow (mlflow.address)", lambda: open_workspace().registry.history())
if settings.register_shipped:
    wait_for("The shipped model", lambda: register_shipped(open_workspace().registry, open_workspace().tracker))
