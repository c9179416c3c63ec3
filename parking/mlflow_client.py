"""How MLflow is reached: one client per address, short waits, and errors that a person can act on."""

import errno
import logging
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from parking.errors import RegistryError
from parking.optional import is_installed, not_installed
from parking.settings import clean_environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["is_full_disk", "mlflow_client", "without_password"]

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own timeout is minutes; a service that polls, and a person who waits, need an answer sooner.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
_CONNECT_SECONDS = 2.0
_connecting = threading.Lock()
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


@contextmanager
def mlflow_client(tracking_uri: str) -> Iterator["MlflowClient"]:
    """A client for MLflow at an address, whose errors become sentences.

    Raises:
        RegistryError: nothing answers there, or MLflow refused what was asked of it.
    """
    clean_environment()
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Before the file is opened, and so made: from then on it would pass for a registry.
    if tracking_uri.startswith("sqlite:") and not is_installed("sqlalchemy"):
        raise RegistryError(str(not_installed(f"The registry {tracking_uri}", "sqlalchemy")))
    try:
        _probe(tracking_uri)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(tracking_uri, error) from error
    # Imported here because MLflow reads its environment as it is imported, and takes seconds to do so.
    from mlflow.exceptions import MlflowException, RestException
    from requests import RequestException

    try:
        yield _connect(tracking_uri)
    except RestException as error:
        said = f"MLflow at {tracking_uri} refused: {error.message}"
        raise RegistryError(without_password(tracking_uri, said)) from error
    except (MlflowException, RequestException) as error:
        raise _unusable(tracking_uri, error) from error
    except OSError as error:
        said = f"A file could not be exchanged with MLflow at {tracking_uri}: {error}. "
        said += (
            "The disk is full: free some space." if is_full_disk(error) else "Check that its folders may be written."
        )
        raise RegistryError(without_password(tracking_uri, said)) from error


def _connect(tracking_uri: str) -> "MlflowClient":
    # One at a time: two threads that meet a fresh SQLite file would both create its tables.
    with _connecting:
        return _client(tracking_uri)


@lru_cache
def _client(tracking_uri: str) -> "MlflowClient":
    """One client an address; the first on a fresh SQLite file creates its tables, which takes seconds."""
    from mlflow import MlflowClient

    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _unusable(tracking_uri: str, error: Exception) -> RegistryError:
    said = f"MLflow at {tracking_uri} cannot be used: {str(error).strip().rstrip('.')}. "
    if is_full_disk(error):
        said += "A disk is full, this machine's or MLflow's: free some space."
    else:
        said += "Start it with `parking up`, or correct PARKING_MLFLOW_TRACKING_URI."
    return RegistryError(without_password(tracking_uri, said))


def is_full_disk(error: BaseException) -> bool:
    """Whether a full disk is behind an error: often only the words are left of what the system said."""
    words = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "disk is full")
    while True:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(one in str(error) for one in words):
            return True
        cause = error.__cause__ or error.__context__
        if cause is None:
            return False
        error = cause


def _probe(tracking_uri: str) -> None:
    """Raises in about two seconds where MLflow would retry for minutes."""
    parts = urlsplit(tracking_uri)
    if parts.scheme == "sqlite":
        file = Path(tracking_uri.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(file, timeout=_CONNECT_SECONDS) as database:
            database.execute("PRAGMA schema_version")
        database.close()
    elif parts.hostname and not _through_proxy(parts.scheme, parts.hostname):
        port = parts.port or _PORTS.get(parts.scheme.split("+")[0], 80)
        socket.create_connection((parts.hostname, port), timeout=_CONNECT_SECONDS).close()


def _through_proxy(scheme: str, host: str) -> bool:
    return scheme in getproxies() and not proxy_bypass(host)


def without_password(tracking_uri: str, said: str) -> str:
    """What was said of an address, as it may be shown: the libraries' own errors repeat it whole."""
    password = urlsplit(tracking_uri).password
    return said.replace(f":{password}@", ":***@") if password else said
