"""One settings object for the whole system, read from the environment (`PARKING_*`) and a `.env` file."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from loguru import logger
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from parking.errors import SettingsError

_FOREIGN = ("AWS_", "MLFLOW_TRACKING_", "MLFLOW_S3_", "PREFECT_API_")
GENERATED = "generated"
"""What stands in place of a folder of images where drawn scenes are wanted."""


class Settings(BaseSettings):
    """Every knob of a deployment. What shapes a model is not here but in its recipe and its contract."""

    model_config = SettingsConfigDict(
        env_prefix="PARKING_", env_file=".env", extra="ignore", use_attribute_docstrings=True, frozen=True
    )

    state_dir: Path = Path(".parking")
    """Folder for everything that this machine keeps: databases, the default store, caches, logs."""

    store: str = ""
    """Where datasets, inference logs and reports live: a folder or `s3://bucket/prefix`. Empty: `<state_dir>/store`."""

    data: str = "generated"
    """Annotated images that a retrain ingests: a folder, `s3://bucket/prefix`, several separated by `;`, or
    `generated`."""

    labels: str = ""
    """What labels of annotations mean that are none of the usual words, as `pkw=vehicle,bucht=stall` (docs/data.md)."""

    group_by: str = ""
    """Regular expression that finds in an image's path the place that it shows: images of one place are never on two
    sides of a split. Empty: the usual names of tiles and frames (docs/data.md)."""

    retrain_cron: str = "0 3 * * 1"
    """When the scheduled retrain runs (cron, UTC). Empty, or with generated `data`: only on demand."""

    monitor_cron: str = "30 2 * * *"
    """When the monitoring run reports on the day before (cron, UTC). Empty: only on demand."""

    mlflow_tracking_uri: str = ""
    """MLflow's address. Empty: SQLite in `<state_dir>`, which needs no server but only serves one machine."""

    register_shipped: bool = True
    """Whether the model that ships becomes the first version of an empty registry, so that the service can answer."""

    model_name: str = "free-parking"
    """Name of the registered model, and of the MLflow experiment that its runs go to."""

    study_url: str = ""
    """Database of the tuning studies (an SQLAlchemy URL). Empty: SQLite in `<state_dir>`."""

    task_runner: str = Field("threads", pattern="^(threads|dask)$")
    """What runs tuning trials: `threads` on this machine, or `dask`."""

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
    """Metres per pixel of an image that does not say; it shapes areas in m², and the answer says `assumed`. 0: what
    the model learnt with."""

    runtime: Literal["onnxruntime", "openvino"] = "onnxruntime"
    """What runs the model. `openvino` answers nearly twice as many callers at once on CPUs that compute in bfloat16, a
    little differently (docs/performance.md); it needs the dependency group of that name."""

    threads: int = Field(0, ge=0)
    """CPU threads of all inferences together; one that is alone has them all. 0: all cores."""

    slots: int = Field(2, ge=1)
    """Inferences at once in the service, which share the threads; further requests wait. With as many as there are
    threads most requests are answered; each more wants memory for its image and for what the network computes."""

    queue: int = Field(16, ge=0)
    """Requests that may wait for a slot; beyond them the service answers 503 at once."""

    request_seconds: float = Field(60.0, gt=0)
    """Longest that a request may take, with its upload and its wait for a slot; then it is given up with 504."""

    reload_seconds: float = Field(2.0, gt=0)
    """How often the service asks the registry which version is `production`. Smaller: faster reload, more calls."""

    max_upload_mb: float = Field(32.0, gt=0)
    """Largest request body, in MiB. All that are under way together may have as many times that as there are slots and
    places in the queue."""

    max_megapixels: float = Field(64.0, gt=0)
    """Largest image, in million pixels; checked before the image is decoded."""

    token: SecretStr = SecretStr("")
    """Callers show it as `Authorization: Bearer …`: for `POST /model/reload`, and with `auth` for every image.
    Empty: nobody can reload by hand."""

    webhook_secret: SecretStr = SecretStr("")
    """What MLflow signs its webhooks with, so that `POST /model/webhook` makes a promotion felt at once.
    Empty: that route refuses all; the service learns of a promotion when it asks next."""

    auth: bool = False
    """Answer only callers that show the token. On without a token, the service refuses to start."""

    rate_limit: float = Field(0.0, ge=0)
    """Images a minute that one caller (by its address) may send; ten seconds' worth may come at once. 0: no limit.
    Behind a proxy, set uvicorn's FORWARDED_ALLOW_IPS to its address: else all callers are one."""

    cors_origins: str = ""
    """Pages of other hosts that may call the service from a browser: origins such as `https://example.org`, with
    commas between them. Empty: none."""

    log_flush_seconds: float = Field(5.0, gt=0)
    """How long a row of the inference log may wait on this machine before it is written to the store."""

    log_spool_mb: float = Field(64.0, gt=0)
    """Log rows kept in `<state_dir>/inference-log` while the store is down, in MiB (1,000 rows each). Beyond it the
    oldest are given up, and counted."""

    drift_min_rows: int = Field(12, ge=2)
    """Rows below which a drift report says `insufficient_data` instead of guessing."""

    drift_share: float = Field(0.4, gt=0, le=1)
    """Share of drifted columns from which the verdict is `drift`; half of it is a `warning`. One far out will do."""

    drift_threshold: float = Field(0.5, gt=0)
    """Effect size from which a column counts as drifted: Wasserstein distance in units of the reference's spread.
    With few rows chance alone does more, and the limit is raised to it."""

    feedback_days: float = Field(7.0, ge=0)
    """Days that the outlines of an answer are kept in the store, so that people may correct it. 0: none are kept, and
    the service takes no corrections."""

    keep_images: bool = False
    """Keep the image of a request as long as its answer, and for good once it was corrected. Off, corrections are
    scored but teach nothing: there is no scene to train on."""

    report_images: bool = False
    """Show in the drift report and on the page /monitoring, small, the images least like those of the training. It
    needs `keep_images`, ends with what that keeps, and shows them to everybody who may open these pages."""

    feedback_floor: float = Field(0.0, ge=0, le=1)
    """F1 of a version's corrected answers below which the verdict is `drift`. 0: corrections are only shown."""

    retrain_on_drift: bool = False
    """Whether the verdict `drift` starts the `retrain` deployment."""

    retrain_cooldown_days: float = Field(7.0, ge=0)
    """Days after a training in which drift starts no other, so that one bad week is one retrain."""

    log_json: bool = False
    """One JSON object a log line, for machines; otherwise lines for people."""

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
    """Take the white space from the ends of secrets and addresses that libraries read from the environment themselves.

    Every Secret of Kubernetes that was made with `echo` ends in a line break, and a server only says that the key is
    wrong. It is said here once, because programs that are not ours read the same Secret.
    """
    for name, value in os.environ.items():
        if name.startswith(_FOREIGN) and value != value.strip():
            os.environ[name] = value.strip()
            logger.warning(
                "{} begins or ends with white space, as Secrets do that were made with `echo`; it is taken without. "
                "Make it anew with `printf %s`.",
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
