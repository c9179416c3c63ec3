"""The service's image as Kubernetes would run it: read-only, without rights, told to stop while it works.

Run by `tests/deploy/run image`. Needs podman, and the project's own environment for MLflow.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from parking.data.imagery import encode_png
from parking.registry import Registry
from parking.tracking import Tracker
from tests.deploy.chart import ROOT
from tests.doubles import write_bright_model
from tests.servers import free_ports

IMAGE = os.environ.get("SERVICE_IMAGE", "localhost/free-parking-service:test")
RUNTIME = os.environ.get("RUNTIME", "onnxruntime")
MOST_MB = {"onnxruntime": 700, "openvino": 900}[RUNTIME]
MOST_SECONDS = 5.0
LEAST_RIGHTS = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")
NAME = f"free-parking-check-{os.getpid()}"


def podman(*words: str) -> str:
    """What podman, or a command in a container, answers."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"podman {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def say(what: str) -> None:
    sys.stdout.write(f"  {what}\n")
    sys.stdout.flush()


@contextmanager
def mlflow(folder: Path, host: str = "127.0.0.1", name: str = "localhost") -> Iterator[str]:
    """MLflow's server, with a version in production; containers may call it by another name."""
    (port,) = free_ports(1)
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--allowed-hosts", f"{name},{name}:*,127.0.0.1:*"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **quiet}, start_new_session=True)
    try:
        wait_for(f"{uri}/health", 120)
        registry = Registry(uri, "free-parking")
        with Tracker(uri, "free-parking", folder / "files").run("check") as run:
            version = registry.register(write_bright_model(folder / "model.onnx"), run_id=run.id, tags={})
        registry.promote(version.number, reason="to check the image", by="tests")
        yield uri
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=20)


def wait_for(url: str, seconds: float) -> float:
    """Seconds until it answers 200."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return time.monotonic() - started
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    sys.exit(f"{url} was not there after {seconds} s")


def picture(side: int) -> bytes:
    """A PNG of noise, so that its size and the work on it are real."""
    return encode_png(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def check_size() -> None:
    size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE)) / 1e6
    say(f"{size:.0f} MB (most: {MOST_MB})")
    if size > MOST_MB:
        sys.exit(f"the image has {size:.0f} MB, more than {MOST_MB}")


def check_contents() -> None:
    """Nothing that serving does not need, and nobody's secrets."""
    script = """
        id -u
        python -c 'import torch' 2>/dev/null && echo torch
        command -v gcc cc make
        ls -A /app/code | grep -E '^[.]env|^tests$|^[.]git'
        true
    """
    found = podman("run", "--rm", "--network=none", "--entrypoint=sh", IMAGE, "-c", script).split()
    say(f"user {found[0]}; found of torch, compilers, secrets: {found[1:] or 'nothing'}")
    assert found == ["10001"]
    assert "org.opencontainers.image.revision" in podman("image", "inspect", "--format", "{{.Labels}}", IMAGE)


def check_service(mlflow_uri: str) -> None:
    """Start, answer, and stop as promised."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    podman(
        *("run", "--detach", "--name", NAME, "--network=host", *LEAST_RIGHTS, "--memory=2g", "--volume=/state"),
        *("--env", f"PARKING_MLFLOW_TRACKING_URI={mlflow_uri}", "--env", f"PARKING_RUNTIME={RUNTIME}", IMAGE),
        *("serve", "--host", "127.0.0.1", "--port", str(port)),
    )
    seconds = wait_for(f"{url}/health/ready", 60)
    say(f"ready after {seconds:.1f} s (most: {MOST_SECONDS:g})")
    smoke = ROOT / "helm" / "files" / "smoke.py"
    subprocess.run([sys.executable, str(smoke)], env={**os.environ, "SERVICE_URL": url}, check=True, timeout=60)
    check_stop(url)
    if seconds > MOST_SECONDS:
        sys.exit(f"ready only after {seconds:.1f} s")


def check_stop(url: str) -> None:
    """A request that runs while SIGTERM comes is answered, and the process ends well."""
    answers: list[int] = []
    body = picture(3000)

    def ask() -> None:
        answers.append(httpx.post(f"{url}/predict", files={"file": ("noise.png", body)}, timeout=60).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    assert asking.is_alive(), "the request was over before SIGTERM could come"
    started = time.monotonic()
    podman("stop", "--time", "25", NAME)
    asking.join()
    code = podman("inspect", "--format", "{{.State.ExitCode}}", NAME)
    say(f"SIGTERM during a request: answered {answers}, stopped with {code} after {time.monotonic() - started:.1f} s")
    assert answers == [200]
    assert code == "0"


def check_complaints() -> None:
    """What is wrong with the settings is the last thing that a container says, in a sentence."""
    for variable, value in (("PARKING_SLOTS", "none"), ("PARKING_STATE_DIR", "/nowhere")):
        run = ("run", "--rm", "--network=none", *LEAST_RIGHTS, "--volume=/state", "--env", f"{variable}={value}")
        done = subprocess.run(["podman", *run, IMAGE], capture_output=True, text=True, timeout=60, check=False)
        say(f"{variable}={value}: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 1
        assert value in done.stderr
        assert "Traceback" not in done.stderr


def check_unreachable_servers() -> None:
    """Wrong addresses are told of at once, by name, and are no reason to end: the image's own health check passes."""
    wrong = {
        "PARKING_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "PARKING_STORE": "s3://nobody-made-this/x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    given = [word for name, value in wrong.items() for word in ("--env", f"{name}={value}")]
    podman("run", "--detach", "--name", NAME, "--network=none", *LEAST_RIGHTS, "--volume=/state", *given, IMAGE)
    expected = ("MLflow at http://127.0.0.1:9 cannot be used", "the store cannot be used", "s3://nobody-made-this/x")
    end = time.monotonic() + 60
    while not (is_healthy() and all(words in logs() for words in expected)):
        assert time.monotonic() < end, logs()
        time.sleep(0.5)
    podman("rm", "--force", "--volumes", "--time", "5", NAME)
    say("wrong addresses of MLflow and S3: it is healthy, and its log names both")


def is_healthy() -> bool:
    """Whether the image's HEALTHCHECK passes in the container."""
    asked = subprocess.run(["podman", "healthcheck", "run", NAME], capture_output=True, timeout=60, check=False)
    return asked.returncode == 0


def logs() -> str:
    """What the container has written so far, on both streams."""
    done = subprocess.run(["podman", "logs", NAME], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout + done.stderr


def main() -> None:
    check_size()
    check_contents()
    try:
        with tempfile.TemporaryDirectory() as folder, mlflow(Path(folder)) as uri:
            check_service(uri)
        podman("rm", "--force", "--volumes", NAME)
        check_unreachable_servers()
    finally:
        subprocess.run(["podman", "rm", "--force", "--volumes", NAME], capture_output=True, timeout=60, check=False)
    check_complaints()


if __name__ == "__main__":
    main()
