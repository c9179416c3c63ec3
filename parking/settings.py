"""One settings object for the whole system, read from the environment (`PARKING_*`) and a `.env` file."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from loguru import logger
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from parking.errors import SettingsError

__all__ = ["GENERATED", "Settings", "clean_environment", "get_settings"]

_FOREIGN = ("AWS_", "MLFLOW_TRACKING_", "MLFLOW_S3_", "PREFECT_API_")
GENERATED = "generated"
"""Given instead of a folder of images to use generated scenes."""


class Settings(BaseSettings):
    """Settings of a deployment. What shapes a model is in its recipe and its contract instead."""

    model_config = SettingsConfigDict(
        env_prefix="PARKING_", env_file=".env", extra="ignore", use_attribute_docstrings=True, frozen=True
    )

    state_dir: Path = Path(".parking")
    """Folder for everything that is kept on this machine: databases, the default store, caches, logs."""

    store: str = ""
    """Where datasets, inference logs and reports live: a folder or `s3://bucket/prefix`. Empty: `<state_dir>/store`."""

    data: str = "generated"
    """Annotated images that a retrain ingests: a folder, `s3://bucket/prefix`, several separated by `;`, or
    `generated`."""

    labels: str = ""
    """Meanings of your own labels of annotations, as `pkw=vehicle,bucht=stall` (docs/data.md)."""

    group_by: str = ""
    """Regular expression for the part of an image's path that names the place it shows. Images of one place are never
    split between training and test. Empty: the usual names of tiles and frames (docs/data.md)."""

    retrain_cron: str = "0 3 * * 1"
    """When the scheduled retrain runs (cron, UTC). Empty, or with generated `data`: only on demand."""

    monitor_cron: str = "30 2 * * *"
    """When the monitoring run reports on the day before (cron, UTC). Empty: only on demand."""

    mlflow_tracking_uri: str = ""
    """MLflow's address. Empty: SQLite in `<state_dir>`, which needs no server and works on one machine only."""

    register_shipped: bool = True
    """Whether the shipped model becomes the first version of an empty registry, so that the service can answer."""

    model_name: str = "free-parking"
    """Name of the registered model, and of the MLflow experiment that its runs go to."""

    study_url: str = ""
    """Database of the tuning studies (an SQLAlchemy URL). Empty: SQLite in `<state_dir>`."""

    task_runner: str = Field("threads", pattern="^(threads|dask)$")
    """Where tuning trials run: in `threads` on this machine, or on `dask`."""

    task_workers: int = Field(1, ge=1)
    """Trials at once. A trial already uses every core, so more than one only helps on a larger machine or on Dask."""

    dask_address: str = ""
    """Scheduler to send trials to, as `tcp://host:8786`. Empty: a local cluster is started for the run."""

    imagery_hosts: str = ""
    """Servers that a survey may ask for imagery (WMS, WMTS, XYZ, STAC), as `data.geopf.fr,tiles.example.org:8443`; with
    `*.example.org` all below a domain. Read their terms first. Empty: none."""

    imagery_requests: int = Field(4, ge=1, le=64)
    """Requests at once to such servers, of all workers of a survey together; each worker has one at least."""

    assumed_gsd: float = Field(0.0, ge=0.0, lt=5.0)
    """Metres per pixel of images whose file does not say it; the answer then says `assumed`. 0: it is estimated from
    vehicles or texture."""

    runtime: Literal["onnxruntime", "openvino"] = "onnxruntime"
    """Inference runtime. `openvino` is nearly twice as fast with several clients on CPUs that compute in bfloat16, and
    its answers differ a little (docs/performance.md). It needs the dependency group of that name."""

    threads: int = Field(0, ge=0)
    """CPU threads of all inferences together; a single inference uses all of them. 0: all cores."""

    slots: int = Field(2, ge=1)
    """Inferences at once in the service, which share the threads; further requests wait. Throughput is highest with as
    many as there are threads; each needs memory for its image and for the network."""

    queue: int = Field(16, ge=0)
    """Requests that may wait for a slot; beyond them the service answers 503 at once."""

    survey_imagery: str = ""
    """Folders and `s3://bucket/prefix` whose imagery the service shows below the places of surveys, separated by `;`.
    Empty: none, for whoever may see the surveys then sees this imagery."""

    request_seconds: float = Field(60.0, gt=0)
    """Longest time of a request, with its upload and its wait for a slot; after that it gets 504."""

    reload_seconds: float = Field(2.0, gt=0)
    """How often the service asks the registry which version is `production`. Smaller: faster reload, more calls."""

    max_upload_mb: float = Field(32.0, gt=0)
    """Largest request body, in MiB. All requests together may have that much for each slot and each place in the
    queue."""

    max_megapixels: float = Field(64.0, gt=0)
    """Largest image, in million pixels; checked before the image is decoded."""

    token: SecretStr = SecretStr("")
    """Token that callers send as `Authorization: Bearer …`: for `POST /model/reload`, and with `auth` for every image.
    Empty: nobody can reload by hand."""

    webhook_secret: SecretStr = SecretStr("")
    """Secret with which MLflow signs its webhooks, so that the service reloads at once after a promotion
    (`POST /model/webhook`). Empty: that route refuses all, and the service reloads at the next poll."""

    auth: bool = False
    """Answer only requests with the token. If it is on and there is no token, the service refuses to start."""

    rate_limit: float = Field(0.0, ge=0)
    """Images a minute that one caller (by its address) may send; ten seconds' worth may come at once. 0: no limit.
    Behind a proxy, set uvicorn's FORWARDED_ALLOW_IPS to its address; otherwise all callers count as one."""

    cors_origins: str = ""
    """Pages of other hosts that may call the service from a browser: origins such as `https://example.org`, with
    commas between them. Empty: none."""

    log_spool_mb: float = Field(64.0, gt=0)
    """Log rows kept in `<state_dir>/inference-log` while the store is down, in MiB (1,000 rows each). Beyond that
    the oldest are dropped, and counted."""

    drift_min_rows: int = Field(12, ge=2)
    """Rows below which a drift report says `insufficient_data` instead of guessing."""

    drift_threshold: float = Field(0.5, gt=0)
    """Effect size from which a column counts as drifted: Wasserstein distance in units of the reference's spread.
    With few rows chance alone gives larger distances, and the limit is raised to these."""

    feedback_days: float = Field(7.0, ge=0)
    """Days that the outlines of an answer are kept in the store, so that it can be corrected. 0: none are kept, and
    the service takes no corrections."""

    keep_images: bool = False
    """Keep the image of a request as long as its answer, and permanently once it was corrected. If it is off,
    corrections are scored, but there are no images to train on."""

    report_images: bool = False
    """Show in the drift report and on the page /monitoring, small, the images least like those of the training. It
    needs `keep_images`, ends with what that keeps, and shows them to everybody who may open these pages."""

    feedback_floor: float = Field(0.0, ge=0, le=1)
    """F1 of a version's corrected answers below which the verdict is `drift`. 0: corrections are only shown."""

    retrain_on_drift: bool = False
    """Whether the verdict `drift` starts the `retrain` deployment."""

    retrain_cooldown_days: float = Field(7.0, ge=0)
    """Days after a training in which drift starts no other."""

    log_json: bool = False
    """Write the log as JSON, one object a line; otherwise as text."""

    @field_validator("*", mode="before")
    @classmethod
    def _without_line_breaks(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @field_validator("assumed_gsd")
    @classmethod
    def _is_a_resolution(cls, value: float) -> float:
        if 0 < value <= 0.01:
            raise ValueError("give 0, or more than 0.01")
        return value

    @property
    def store_url(self) -> str:
        """The store's address, with the default filled in."""
        return self.store or str(self.state_dir / "store")

    @property
    def tracking_uri(self) -> str:
        """MLflow's address, with the default filled in."""
        return self.mlflow_tracking_uri or f"sqlite:///{(self.state_dir / 'mlflow.db').resolve()}"

    @property
    def artifact_dir(self) -> Path:
        """Where MLflow keeps files when no server decides it."""
        return (self.state_dir / "mlartifacts").resolve()

    @property
    def optuna_url(self) -> str:
        """The studies' database, with the default filled in."""
        return self.study_url or f"sqlite:///{(self.state_dir / 'studies.db').resolve()}"


def clean_environment() -> None:
    """Strip white space from the ends of secrets and addresses that libraries read from the environment themselves.

    A Secret of Kubernetes that was made with `echo` ends in a line break, and servers then only say that the key is
    wrong. A warning says so, because other programs read the same Secret.
    """
    for name, value in os.environ.items():
        if name.startswith(_FOREIGN) and value != value.strip():
            os.environ[name] = value.strip()
            logger.warning(
                "{} begins or ends with white space, as a Secret made with `echo` does; the white space is ignored. "
                "Make the Secret again with `printf %s`.",
                name,
            )


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingsError: a variable has a value that cannot work; the message names each.
    """
    try:
        clean_environment()
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"PARKING_{'_'.join(map(str, e['loc'])).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(f"Settings that cannot work: {wrong}. Correct them in the environment or .env.") from error
