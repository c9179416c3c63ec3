"""The registered versions of the model: register, promote, roll back, resolve, fetch. The alias is the only switch."""

import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from parking.errors import ModelError, NoVersionError, RegistryError
from parking.mlflow_client import is_full_disk, mlflow_client, without_password
from parking.mlflow_rest import download, find_entry, find_tags
from parking.model_cache import mark_used, remove_others, version_folder
from parking.promotion import PREVIOUS, PRODUCTION, Promotion, record, settle, unfinished

__all__ = ["MODEL_FILE", "PREVIOUS", "PRODUCTION", "REFERENCE_FILE", "Registry", "Version", "reference_beside"]

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL_FILE = "model.onnx"
REFERENCE_FILE = "reference.parquet"
"""Name of the rows that a version's drift is measured against; `monitoring.reference` makes them."""


def reference_beside(model: Path) -> Path:
    """Where the reference of a model file lies that is in no registry: `NAME.reference.parquet`."""
    return model.with_suffix(f".{REFERENCE_FILE}")


@dataclass(frozen=True)
class Version:
    """A registered model."""

    name: str
    number: int
    run_id: str | None
    """The run that trained it."""
    aliases: tuple[str, ...]
    tags: dict[str, str]
    created: datetime


class Registry:
    """The versions of one model in MLflow.

    A version is a plain `model.onnx` that carries its own contract, and the files that were registered beside it;
    all are artifacts of the run that made them. Nothing is pickled.
    """

    def __init__(self, tracking_uri: str, model_name: str) -> None:
        self.tracking_uri = tracking_uri
        self.model_name = model_name

    def register(
        self, model: Path, *, run_id: str, tags: Mapping[str, str], extras: Mapping[str, Path] | None = None
    ) -> Version:
        """Uploads a model file as the newest version; it serves nobody until it is promoted.

        Args:
            model: the ONNX file.
            run_id: the run that made it.
            tags: what to know of it, such as `dataset_version` and `code_version`; `sha256` is added.
            extras: files to keep beside the model, by the names that they are fetched by.

        Raises:
            RegistryError: MLflow cannot be reached, or refused.
        """
        checksum = _sha256(model)
        # A run may register more than once, and no version may overwrite another's files.
        folder = f"model/{checksum[:12]}"
        with _gathered(model, extras or {}) as files, mlflow_client(self.tracking_uri) as client:
            client.log_artifacts(run_id, str(files), folder)
            _ensure_model(client, self.model_name)
            made = client.create_model_version(
                self.model_name,
                source=f"runs:/{run_id}/{folder}",
                run_id=run_id,
                tags={**tags, "sha256": checksum},
            )
        logger.info("Registered {} version {}", self.model_name, made.version)
        return _to_version(made)

    def resolve(self, which: str = PRODUCTION) -> Version:
        """Finds a version; a promotion that was cut short is finished first.

        Args:
            which: an alias, such as `production`, or a number.

        Raises:
            NoVersionError: there is no such alias or number.
            RegistryError: MLflow cannot be reached, or refused.
        """
        if not which.isdecimal():
            self._finish_promotion()
        found = self._find(which)
        if found is None:
            said = (
                f"The registry at {self.tracking_uri} has no version {which!r} of {self.model_name}. "
                "Train one with `parking train`, make it serve with `parking promote`, or name another."
            )
            raise NoVersionError(without_password(self.tracking_uri, said))
        return found

    def history(self) -> list[Version]:
        """All versions, newest first."""
        with mlflow_client(self.tracking_uri) as client:
            newest_first = ["version_number DESC"]
            entries = client.search_model_versions(f"name='{self.model_name}'", order_by=newest_first)
            # A search leaves the aliases out.
            aliases = client.get_registered_model(self.model_name).aliases if entries else {}
        versions = [_to_version(entry) for entry in entries]
        return [replace(version, aliases=_names_of(version.number, aliases)) for version in versions]

    def promote(self, number: int, *, reason: str, by: str) -> Version:
        """Makes a version `production`; the one that was becomes `previous`. Promoting it twice changes nothing.

        Args:
            number: the version.
            reason: why, in a sentence; kept as a tag.
            by: who, or what, decided.

        Raises:
            NoVersionError: there is no such version.
            RegistryError: MLflow cannot be reached, or refused.
        """
        version = self.resolve(str(number))
        serving = self._aliases().get(PRODUCTION)
        return version if serving == number else self._switch(number, serving, reason=reason, by=by)

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Notes something about a version; a tag of the same name is replaced.

        Raises:
            RegistryError: MLflow cannot be reached, or refused.
        """
        with mlflow_client(self.tracking_uri) as client:
            for key, value in tags.items():
                client.set_model_version_tag(self.model_name, str(number), key, value)

    def rollback(self, *, reason: str, by: str) -> Version:
        """Makes `previous` serve again and `production` the new `previous`, so that a second one undoes the first.

        Returns:
            The version that serves now, as the registry says.

        Raises:
            NoVersionError: nothing was serving before.
            RegistryError: MLflow cannot be reached, or refused; or something else serves now.
        """
        aliases = self._aliases()
        serving, previous = aliases.get(PRODUCTION), aliases.get(PREVIOUS)
        if previous is None or previous == serving:
            previous = self._served_before(serving)
        if previous is None:
            raise NoVersionError(
                f"{self.model_name} has no `{PREVIOUS}` version to go back to. "
                "Promote the one you want with `parking promote NUMBER`."
            )
        return self._switch(previous, serving, reason=reason, by=by)

    def fetch(self, version: Version, into: Path) -> Path:
        """Downloads a version's model, once.

        Args:
            version: which.
            into: a cache folder; it may be shared by processes and by models.

        Returns:
            The local file, whose checksum is the registered one.

        Raises:
            ModelError: the file is not the one that was registered.
            RegistryError: MLflow cannot be reached, or refused.
        """
        expected = version.tags.get("sha256", "")
        file = version_folder(into, self.model_name, version.number) / MODEL_FILE
        # Before it is read: from now on no other process may remove it.
        mark_used(file)
        if file.is_file() and _sha256(file) == expected:
            return file
        self._download(version, MODEL_FILE, file)
        if (found := _sha256(file)) != expected:
            file.unlink()
            raise ModelError(
                f"The file of {self.model_name} version {version.number} has the checksum {found[:12]}, not "
                f"{expected[:12] or 'any'} as registered: it was damaged or replaced. Register the model again."
            )
        return file

    def forget(self, keep: Collection[int], into: Path) -> None:
        """Removes fetched files of other versions, but not what somebody fetched within the last hour.

        Args:
            keep: numbers of the versions whose files stay.
            into: the cache folder that they were fetched into.
        """
        remove_others(into, self.model_name, keep)

    def fetch_extra(self, version: Version, name: str, into: Path) -> Path | None:
        """Downloads a file that was registered beside the model, or None when there is none of that name.

        Raises:
            RegistryError: MLflow cannot be reached, or refused.
        """
        with mlflow_client(self.tracking_uri) as client:
            from mlflow.artifacts import list_artifacts

            source = client.get_model_version_download_uri(self.model_name, str(version.number))
            names = [Path(entry.path).name for entry in list_artifacts(source, tracking_uri=self.tracking_uri)]
        if name not in names:
            return None
        file = version_folder(into, self.model_name, version.number) / name
        self._download(version, name, file)
        return file

    def _find(self, which: str) -> Version | None:
        entry = find_entry(self.tracking_uri, self.model_name, which)
        if entry is not None:
            return _from_json(entry)
        with mlflow_client(self.tracking_uri) as client:
            from mlflow.exceptions import MlflowException

            try:
                if which.isdecimal():
                    return _to_version(client.get_model_version(self.model_name, which))
                return _to_version(client.get_model_version_by_alias(self.model_name, which))
            except MlflowException as error:
                # A missing alias is an "invalid parameter" to MLflow (HTTP 400), a missing number or name is not.
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

    def _aliases(self) -> dict[str, int]:
        """Versions by alias, after a promotion that was cut short is finished; empty where there is no model."""
        with mlflow_client(self.tracking_uri) as client:
            return settle(client, self.model_name) if _tags(client, self.model_name) is not None else {}

    def _finish_promotion(self) -> None:
        """Finish a promotion that was cut short, for one who reads: who may not write reads what is there."""
        tags = find_tags(self.tracking_uri, self.model_name)
        if tags is None:
            with mlflow_client(self.tracking_uri) as client:
                tags = _tags(client, self.model_name)
        if unfinished(tags or {}) is None:
            return
        try:
            self._aliases()
        except RegistryError as error:
            logger.warning("A promotion was cut short, and cannot be finished. {}", error)

    def _served_before(self, serving: int | None) -> int | None:
        """The version that the serving one replaced, as its tags say, if it is still there."""
        version = self._find(str(serving)) if serving is not None else None
        before = version.tags.get("promoted_from", "") if version else ""
        is_known = before.isdecimal() and int(before) != serving and self._find(before) is not None
        return int(before) if is_known else None

    def _switch(self, number: int, serving: int | None, *, reason: str, by: str) -> Version:
        """Record, then move; returns what the registry says afterwards.

        Raises:
            RegistryError: something else serves now.
        """
        with mlflow_client(self.tracking_uri) as client:
            record(client, self.model_name, Promotion.decide(number, serving, by=by, reason=reason))
        now = self._aliases().get(PRODUCTION)
        if now != number:
            serves = f"version {now}" if now is not None else "no version"
            raise RegistryError(
                f"Version {number} of {self.model_name} was to serve, but the registry says that {serves} does: it was "
                "changed meanwhile. Look at the versions in MLflow, and promote the one you want."
            )
        logger.info("{} version {} is now production: {}", self.model_name, number, reason)
        return self.resolve(str(number))

    def _download(self, version: Version, name: str, file: Path) -> None:
        """Downloads beside the place and renames, so that no other process sees half a file."""
        if download(self.tracking_uri, self.model_name, version.number, name, file):
            return
        with mlflow_client(self.tracking_uri) as client:
            from mlflow.artifacts import download_artifacts
            from mlflow.exceptions import MlflowException

            source = client.get_model_version_download_uri(self.model_name, str(version.number))
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=file.parent) as folder:
                try:
                    local = download_artifacts(
                        artifact_uri=f"{source}/{name}", dst_path=folder, tracking_uri=self.tracking_uri
                    )
                except (MlflowException, OSError) as error:
                    if is_full_disk(error) or self._has_file(source, name):
                        raise
                    raise RegistryError(
                        f"'{name}' of {self.model_name} version {version.number} is gone from where MLflow keeps its "
                        f"files ({source}): it was deleted or moved there. Restore it from a backup, or promote "
                        "another version with `parking promote`."
                    ) from error
                Path(local).replace(file)

    def _has_file(self, source: str, name: str) -> bool:
        """Whether MLflow lists a file; taken to be there where it does not answer."""
        from mlflow.artifacts import list_artifacts
        from mlflow.exceptions import MlflowException

        try:
            entries = list_artifacts(source, tracking_uri=self.tracking_uri)
        except (MlflowException, OSError):
            return True
        return name in {Path(entry.path).name for entry in entries}


@contextmanager
def _gathered(model: Path, extras: Mapping[str, Path]) -> Iterator[Path]:
    """The files of a version in one folder, under the names they are fetched by."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(model, Path(folder) / MODEL_FILE)
        for name, file in extras.items():
            shutil.copyfile(file, Path(folder) / name)
        yield Path(folder)


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _tags(client: "MlflowClient", name: str) -> dict[str, str] | None:
    """Tags of the registered model; none at all where there is no such model."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_registered_model(name).tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _names_of(number: int, aliases: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, pointed in aliases.items() if int(pointed) == number))


def _to_version(entry: "ModelVersion") -> Version:
    return Version(
        name=entry.name,
        number=int(entry.version),
        run_id=entry.run_id or None,
        aliases=tuple(sorted(entry.aliases)),
        tags=dict(entry.tags),
        created=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
    )


def _from_json(entry: Mapping[str, Any]) -> Version:
    """Of MLflow's REST API, which leaves out what is empty."""
    return Version(
        name=entry["name"],
        number=int(entry["version"]),
        run_id=entry.get("run_id") or None,
        aliases=tuple(sorted(entry.get("aliases", ()))),
        tags={tag["key"]: tag.get("value", "") for tag in entry.get("tags", ())},
        created=datetime.fromtimestamp(int(entry["creation_timestamp"]) / 1000, UTC),
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
