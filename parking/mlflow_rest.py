"""What a service asks of an MLflow server, by its REST API: the model's tags, a version, and a file of it.

MLflow's own client takes two seconds of CPU time to import, half of what a new process needs until it answers: so this
is kept (measured in docs/performance.md, "Start to ready"). Only a plain success is taken from here. Everything else is
left to that client: servers that want more than a name and a password, artifacts that do not come through the server,
whatever goes wrong, and to say so.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from requests import Response

__all__ = ["download", "find_entry", "find_tags"]

_SECONDS = (1.0, 5.0)
"""To connect, and between two bytes."""
_PLAIN = {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
_SPECIAL = ("MLFLOW_TRACKING_", "MLFLOW_WORKSPACE", "MLFLOW_ENABLE_WORKSPACES")
_MISHAPS = (OSError, ValueError, KeyError, TypeError)
"""`requests` raises OSErrors; the rest come of answers of another shape."""


def find_entry(tracking_uri: str, name: str, which: str) -> dict[str, Any] | None:
    """A model version as MLflow's REST API describes it.

    Args:
        tracking_uri: MLflow's address.
        name: of the registered model.
        which: an alias or a number.

    Returns:
        The `model_version` of the answer; None where MLflow's client has to be asked.
    """
    if not _is_plain(tracking_uri):
        return None
    try:
        if which.isdecimal():
            answer = _ask(tracking_uri, "model-versions/get", name=name, version=which)
        else:
            answer = _ask(tracking_uri, "registered-models/alias", name=name, alias=which)
        entry: dict[str, Any] = answer["model_version"]
    except _MISHAPS:
        return None
    return entry


def find_tags(tracking_uri: str, name: str) -> dict[str, str] | None:
    """Tags of a registered model, as MLflow's REST API tells them; None where MLflow's client has to be asked."""
    if not _is_plain(tracking_uri):
        return None
    try:
        answer = _ask(tracking_uri, "registered-models/get", name=name)
        return {tag["key"]: tag.get("value", "") for tag in answer["registered_model"].get("tags", ())}
    except _MISHAPS:
        return None


def download(tracking_uri: str, model: str, number: int, name: str, file: Path) -> bool:
    """Download a file of a version, where the server hands artifacts out itself.

    Args:
        tracking_uri: MLflow's address.
        model: name of the registered model.
        number: of the version.
        name: of the file.
        file: where to put it; it is there whole or not at all.

    Returns:
        Whether it is there now; if not, MLflow's client has to be asked.
    """
    if not _is_plain(tracking_uri):
        return False
    try:
        path = _path_of(tracking_uri, model, number)
        with _get(f"{tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{quote(f'{path}/{name}')}", {}) as response:
            _save(response, file)
    except _MISHAPS:
        return False
    return True


def _save(response: "Response", file: Path) -> None:
    """Beside the place first, so that no other process sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        partial = Path(folder) / file.name
        with partial.open("wb") as stream:
            for chunk in response.iter_content(2**20):
                stream.write(chunk)
        partial.replace(file)


def _is_plain(tracking_uri: str) -> bool:
    """Whether MLflow's client, too, would send no more than a request with a name and a password."""
    settings = {name for name in os.environ if name.startswith(_SPECIAL)} - _PLAIN
    return urlsplit(tracking_uri).scheme in {"http", "https"} and not settings and not _has_credentials()


def _has_credentials() -> bool:
    """Whether there is a file of names and passwords; MLflow's client ignores one that may not be read, too."""
    try:
        return Path("~/.mlflow/credentials").expanduser().exists()
    except (OSError, RuntimeError):
        return False


def _path_of(tracking_uri: str, model: str, number: int) -> str:
    """Where the server keeps a version's files, below the root of its artifacts."""
    answer = _ask(tracking_uri, "model-versions/get-download-uri", name=model, version=f"{number}")
    source = urlsplit(answer["artifact_uri"])
    run, _, folder = source.path.removeprefix("/").partition("/")
    root = urlsplit(_ask(tracking_uri, "runs/get", run_id=run)["run"]["info"]["artifact_uri"])
    if source.scheme != "runs" or root.scheme != "mlflow-artifacts" or root.netloc:
        raise ValueError(root.geturl())
    return f"{root.path.strip('/')}/{folder}"


def _ask(tracking_uri: str, what: str, **query: str) -> dict[str, Any]:
    with _get(f"{tracking_uri}/api/2.0/mlflow/{what}", query) as response:
        found: dict[str, Any] = response.json()
    return found


def _get(url: str, query: dict[str, str]) -> "Response":
    # What MLflow's client uses, too: the same proxies, certificates and .netrc apply.
    import requests

    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    login = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None
    response = requests.get(url, params=query, auth=login, timeout=_SECONDS, stream=True)
    response.raise_for_status()
    return response
