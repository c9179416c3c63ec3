"""The platform as the chart lays it out, each pod a process: databases in PostgreSQL, everything else in a bucket."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.servers import Server, Servers, port_of, python
from tests.servers import PostgresServer, S3Server, free_ports

BUCKET = "cluster"
DATABASES = ("mlflow", "prefect", "studies")
LOGIN = {"MLFLOW_TRACKING_USERNAME": "parking", "MLFLOW_TRACKING_PASSWORD": "p@ss/w:rd%1-of-mlflow"}
"""As from the Secret that `mlflow.existingSecret` names."""


@dataclass(frozen=True)
class Cluster:
    """What runs where."""

    s3: S3Server
    postgres: PostgresServer
    state: Path
    """A folder for each pod, which the chart would make of its `/state`."""
    prefect: str
    """Prefect's API."""
    mlflow: str
    service: str

    @property
    def settings(self) -> Mapping[str, str]:
        """What the chart's ConfigMap and Secrets give to the pods that run the project's own code."""
        return {
            **self.s3.environment,
            **self.postgres.environment,
            **LOGIN,
            "PARKING_STORE": f"s3://{BUCKET}/free-parking",
            "PARKING_DATA": f"s3://{BUCKET}/annotated",
            "PARKING_MLFLOW_TRACKING_URI": self.mlflow,
            "PARKING_STUDY_URL": f"postgresql://127.0.0.1:{self.postgres.port}/studies",
            "PARKING_REGISTER_SHIPPED": "false",
            "PARKING_RETRAIN_CRON": "",
            "PARKING_MONITOR_CRON": "",
            "PARKING_DRIFT_MIN_ROWS": "2",
            "PREFECT_API_URL": self.prefect,
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all objects in the bucket that begin so."""
        pages = self.s3.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def files(self) -> list[str]:
        """Every file that the pods keep on their own disks."""
        return [str(path.relative_to(self.state)) for path in sorted(self.state.rglob("*")) if path.is_file()]

    def pod(self, name: str, command: list[str], env: Mapping[str, str], ready_url: str) -> Server:
        """A server with a state folder of its own, and the variables that keep libraries quiet."""
        folder = self.state / name
        (folder / "tmp").mkdir(parents=True)
        own = {
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "PARKING_STATE_DIR": str(folder),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "DO_NOT_TRACK": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
        }
        return Server(name, command, {**own, **env}, ready_url, ready_seconds=180)


@contextmanager
def running_cluster(s3: S3Server, postgres: PostgresServer, folder: Path) -> Iterator[Cluster]:
    """Start the servers as the chart's pods do, and return when all answer."""
    s3.create_bucket(BUCKET)
    prefect_port, mlflow_port, service_port = free_ports(3)
    cluster = Cluster(
        s3,
        postgres,
        folder / "state",
        prefect=f"http://127.0.0.1:{prefect_port}/api",
        mlflow=f"http://127.0.0.1:{mlflow_port}",
        service=f"http://127.0.0.1:{service_port}",
    )
    with (folder / "cluster.log").open("w", buffering=1) as log:

        def keep(name: str, line: str) -> None:
            log.write(f"{name} {line}\n")

        with Servers(keep) as servers:
            servers.start(mlflow(cluster))
            servers.start(prefect(cluster))
            servers.wait_ready()
            servers.start(service(cluster))
            servers.start(flows(cluster))
            servers.wait_ready()
            yield cluster


def mlflow(cluster: Cluster) -> Server:
    """MLflow with its own log-in, as a catalogue's may have one."""
    config = cluster.state.parent / "mlflow-login.ini"
    user, password = LOGIN.values()
    config.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = postgresql://127.0.0.1:{cluster.postgres.port}/mlflow\n"
        f"admin_username = {user}\n"
        f"admin_password = {password.replace('%', '%%')}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    command = [
        *python("mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", port_of(cluster.mlflow)),
        *("--backend-store-uri", f"postgresql://127.0.0.1:{cluster.postgres.port}/mlflow"),
        *("--artifacts-destination", f"s3://{BUCKET}/free-parking/mlflow"),
    ]
    login = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-this-test"}
    env = {**cluster.s3.environment, **cluster.postgres.environment, **login}
    return cluster.pod("mlflow", command, env, f"{cluster.mlflow}/health")


def prefect(cluster: Cluster) -> Server:
    """Prefect's server."""
    port = port_of(cluster.prefect.removesuffix("/api"))
    command = [*python("prefect", "server", "start"), "--host", "127.0.0.1", "--port", port]
    database = f"postgresql+asyncpg://127.0.0.1:{cluster.postgres.port}/prefect"
    env = {
        **cluster.postgres.environment,
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    return cluster.pod("prefect", command, env, f"{cluster.prefect}/health")


def service(cluster: Cluster) -> Server:
    """The prediction service, which reads no database."""
    command = [*python("cli.app", "serve", "--host", "127.0.0.1", "--port", port_of(cluster.service))]
    env = {name: value for name, value in cluster.settings.items() if not name.startswith("PG")}
    return cluster.pod("service", command, env, f"{cluster.service}/health/live")


def flows(cluster: Cluster) -> Server:
    """The flows, registered with Prefect when the last of them is."""
    last = f"{cluster.prefect}/deployments/name/promote/promote"
    return cluster.pod("flows", [sys.executable, "-u", "-m", "flows.deployments"], cluster.settings, last)
